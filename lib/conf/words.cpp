// A command line as words, by the quoting rules of the shell and nothing else of it.
#include <utility>

#include "conf/values.hpp"

namespace cluster::conf {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Inside double quotes a backslash quotes only these; before others it stands for itself.
bool is_escapable_in_double_quotes(char c) {
    return c == '$' || c == '`' || c == '"' || c == '\\' || c == '\n';
}

class Splitter {
public:
    explicit Splitter(std::string_view text) : text_(text) {}

    tl::expected<std::vector<std::string>, std::string> run() {
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (is_blank(c)) {
                end_word();
            } else if (c == '\'') {
                if (!read_single_quoted()) return unclosed('\'');
            } else if (c == '"') {
                if (!read_double_quoted()) return unclosed('"');
            } else if (c == '\\') {
                if (at_ == text_.size()) {
                    return tl::make_unexpected(
                        std::string("ends in a backslash that quotes nothing"));
                }
                const char escaped = text_[at_++];
                if (escaped != '\n') put(escaped);  // backslash-newline joins two lines
            } else {
                put(c);
            }
        }
        end_word();
        return std::move(words_);
    }

private:
    void put(char c) {
        word_ += c;
        in_word_ = true;
    }

    void end_word() {
        if (in_word_) words_.push_back(std::move(word_));
        word_.clear();
        in_word_ = false;
    }

    bool read_single_quoted() {
        const std::size_t end = text_.find('\'', at_);
        if (end == std::string_view::npos) return false;
        word_.append(text_.substr(at_, end - at_));
        in_word_ = true;  // '' is an empty word
        at_ = end + 1;
        return true;
    }

    bool read_double_quoted() {
        in_word_ = true;
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') return true;
            if (c != '\\' || at_ == text_.size() || !is_escapable_in_double_quotes(text_[at_])) {
                word_ += c;
            } else {
                const char escaped = text_[at_++];
                if (escaped != '\n') word_ += escaped;
            }
        }
        return false;
    }

    static tl::unexpected<std::string> unclosed(char quote) {
        return tl::make_unexpected(std::string("has an unclosed ") +
                                   (quote == '"' ? "double quote (\")" : "single quote (')"));
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string word_;
    bool in_word_ = false;
    std::vector<std::string> words_;
};

}  // namespace

tl::expected<std::vector<std::string>, std::string> split_words(std::string_view text) {
    // Quoted parts are copied whole, so a NUL is looked for in one place.
    if (text.find('\0') != std::string_view::npos) {
        return tl::make_unexpected(std::string("has a NUL byte"));
    }
    return Splitter(text).run();
}

}  // namespace cluster::conf
