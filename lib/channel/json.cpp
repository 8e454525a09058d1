#include "channel/json.hpp"

#include <array>
#include <bitset>
#include <charconv>
#include <cstring>

namespace cluster::channel {
namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Characters of a string that stand for themselves and need no second look.
constexpr std::array<bool, 256> plain_characters() {
    std::array<bool, 256> plain{};
    for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
    return plain;
}
constexpr std::array<bool, 256> kPlain = plain_characters();

/// Whether eight bytes all are plain characters.
bool are_plain(const char* bytes) {
    constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
    constexpr std::uint64_t kHighs = kOnes * 0x80;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    // The high bit of a byte tells; that it may spread upwards from one that is below does no harm.
    const auto below = [](std::uint64_t x, std::uint64_t limit) {
        return (x - kOnes * limit) & ~x & kHighs;
    };
    const std::uint64_t special = (word & kHighs) | below(word, 0x20) |
                                  below(word ^ (kOnes * '"'), 1) | below(word ^ (kOnes * '\\'), 1);
    return special == 0;
}

/// The words of the grammar, one after the other. Each function leaves `at` behind what it has
/// read; false: it is not there.
class Words {
public:
    explicit Words(std::string_view text) : text_(text) {}

    std::size_t at = 0;

    [[nodiscard]] bool is_at_end() const { return at == text_.size(); }
    [[nodiscard]] char peek() const { return at < text_.size() ? text_[at] : '\0'; }
    [[nodiscard]] std::string_view since(std::size_t begin) const {
        return text_.substr(begin, at - begin);
    }
    void skip_space() {
        while (at < text_.size() && is_space(text_[at])) ++at;
    }
    [[nodiscard]] bool take(char c) {
        if (peek() != c || is_at_end()) return false;
        ++at;
        return true;
    }
    [[nodiscard]] bool take(std::string_view word) {
        if (text_.substr(at, word.size()) != word) return false;
        at += word.size();
        return true;
    }

    [[nodiscard]] bool string() {
        if (!take('"')) return false;
        for (skip_plain(); at < text_.size(); skip_plain()) {
            const auto c = static_cast<unsigned char>(text_[at]);
            if (c == '"') {
                ++at;
                return true;
            } else if (c == '\\') {
                if (!escape()) return false;
            } else {
                const std::size_t length = c < 0x80 ? 0 : utf8_length(text_.substr(at));
                if (length == 0) return false;
                at += length;
            }
        }
        return false;
    }

    [[nodiscard]] bool number() {
        static_cast<void>(take('-'));
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (peek() == 'e' || peek() == 'E') {
            ++at;
            if (peek() == '+' || peek() == '-') ++at;
            return digits();
        }
        return true;
    }

private:
    void skip_plain() {
        while (at + 8 <= text_.size() && are_plain(text_.data() + at)) at += 8;
        while (at < text_.size() && kPlain[static_cast<unsigned char>(text_[at])]) ++at;
    }
    [[nodiscard]] bool digits() {
        const std::size_t begin = at;
        while (is_digit(peek())) ++at;
        return at > begin;
    }
    [[nodiscard]] bool escape() {
        ++at;
        const char kind = peek();
        ++at;
        if (kind != 'u') {
            return kind != '\0' &&
                   std::string_view{"\"\\/bfnrt"}.find(kind) != std::string_view::npos;
        }
        for (int i = 0; i < 4; ++i, ++at) {
            if (hex_digit(peek()) < 0) return false;
        }
        return true;
    }

    std::string_view text_;
};

/// Reads a scalar, or the bracket that opens a container.
bool read_start(Words& words, JsonType& type) {
    switch (words.peek()) {
        case '{':
            type = JsonType::object;
            ++words.at;
            return true;
        case '[':
            type = JsonType::array;
            ++words.at;
            return true;
        case '"':
            type = JsonType::string;
            return words.string();
        case 't':
            type = JsonType::boolean;
            return words.take("true");
        case 'f':
            type = JsonType::boolean;
            return words.take("false");
        case 'n':
            type = JsonType::null;
            return words.take("null");
        default:
            type = JsonType::number;
            return words.number();
    }
}

/// Nothing but white space is left.
bool is_end(Words& words) {
    words.skip_space();
    return words.is_at_end();
}

bool read_name(Words& words, std::string_view& name) {
    words.skip_space();
    const std::size_t begin = words.at;
    if (!words.string()) return false;
    name = words.since(begin);
    words.skip_space();
    if (!words.take(':')) return false;
    words.skip_space();
    return true;
}

/// Any value, its containers included, without recursion.
class ValueReader {
public:
    explicit ValueReader(Words& words) : words_(words) {}

    /// `outer`: how many containers are open around it.
    [[nodiscard]] bool read(std::size_t outer, JsonValue& value) {
        const std::size_t begin = words_.at;
        if (!read_start(words_, value.type)) return false;
        const bool is_container = value.type == JsonType::object || value.type == JsonType::array;
        if (is_container && !read_inside(outer, value.type)) return false;
        value.text = words_.since(begin);
        return true;
    }

private:
    [[nodiscard]] bool read_inside(std::size_t outer, JsonType type) {
        std::size_t depth = 0;
        if (!open(outer, depth, type)) return false;
        while (depth > 0) {
            const bool is_object = is_object_.test(depth - 1);
            words_.skip_space();
            if (words_.take(is_object ? '}' : ']')) {
                --depth;
            } else if (!is_fresh_ && !words_.take(',')) {
                return false;
            } else {
                std::string_view name;
                words_.skip_space();
                if (is_object && !read_name(words_, name)) return false;
                JsonType inner{};
                if (!read_start(words_, inner)) return false;
                is_fresh_ = false;
                const bool opens = inner == JsonType::object || inner == JsonType::array;
                if (opens && !open(outer, depth, inner)) return false;
                continue;
            }
            is_fresh_ = false;
        }
        return true;
    }
    [[nodiscard]] bool open(std::size_t outer, std::size_t& depth, JsonType type) {
        if (outer + depth >= kMaxDepth) return false;
        is_object_.set(depth++, type == JsonType::object);
        is_fresh_ = true;
        return true;
    }

    Words& words_;
    std::bitset<kMaxDepth> is_object_;
    bool is_fresh_ = false;  // nothing stands behind the bracket yet
};

/// Returns the place behind it.
char* put_utf8(char* target, std::uint32_t code) {
    const auto byte = [&target](std::uint32_t value) { *target++ = static_cast<char>(value); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xC0U | (code >> 6U));
        byte(0x80U | (code & 0x3FU));
    } else if (code < 0x10000) {
        byte(0xE0U | (code >> 12U));
        byte(0x80U | ((code >> 6U) & 0x3FU));
        byte(0x80U | (code & 0x3FU));
    } else {
        byte(0xF0U | (code >> 18U));
        byte(0x80U | ((code >> 12U) & 0x3FU));
        byte(0x80U | ((code >> 6U) & 0x3FU));
        byte(0x80U | (code & 0x3FU));
    }
    return target;
}

std::uint32_t hex4(std::string_view text) {
    std::uint32_t code = 0;
    for (const char c : text.substr(0, 4)) {
        code = code * 16 + static_cast<std::uint32_t>(hex_digit(c));
    }
    return code;
}

/// Requires: a checked string. `at` is at the 'u'; left at the last digit that was used.
std::uint32_t take_unicode(std::string_view text, std::size_t& at) {
    constexpr std::uint32_t kReplacement = 0xFFFD;
    const std::uint32_t first = hex4(text.substr(at + 1));
    at += 4;
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first > 0xDBFF || text.substr(at + 1, 2) != "\\u") return kReplacement;
    const std::uint32_t second = hex4(text.substr(at + 3));
    if (second < 0xDC00 || second > 0xDFFF) return kReplacement;
    at += 6;
    return 0x10000 + ((first - 0xD800) << 10U) + (second - 0xDC00);
}

char unescaped(char kind) {
    switch (kind) {
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        default:
            return kind;
    }
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
    const auto byte = [&text](std::size_t i) -> std::uint32_t {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
    };
    const auto is_tail = [&byte](std::size_t i) { return (byte(i) & 0xC0U) == 0x80; };
    const std::uint32_t first = byte(0);
    if (text.empty()) return 0;
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return is_tail(1) ? 2 : 0;
    if ((first & 0xF0U) == 0xE0) {
        const bool is_overlong = first == 0xE0 && byte(1) < 0xA0;
        const bool is_surrogate = first == 0xED && byte(1) > 0x9F;
        return is_tail(1) && is_tail(2) && !is_overlong && !is_surrogate ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool is_overlong = first == 0xF0 && byte(1) < 0x90;
        const bool is_beyond = first == 0xF4 && byte(1) > 0x8F;
        return is_tail(1) && is_tail(2) && is_tail(3) && !is_overlong && !is_beyond ? 4 : 0;
    }
    return 0;
}

bool JsonMembers::next(JsonMember& member) {
    Words words{text_};
    words.at = at_;
    words.skip_space();
    if (has_ended_ || !words.take(at_ == 0 ? '{' : ',')) {
        // Behind the last member, or behind the bracket of an object without any.
        has_ended_ = has_ended_ || (at_ != 0 && words.take('}') && is_end(words));
        return false;
    }
    const bool is_first = at_ == 0;
    if (is_first) {
        words.skip_space();
        if (words.take('}')) {
            has_ended_ = is_end(words);
            at_ = text_.size();
            return false;
        }
    }
    ValueReader reader{words};
    std::string_view name;
    if (!read_name(words, name) || !reader.read(1, member.value)) {
        at_ = text_.size();
        return false;
    }
    member.name = {name.data() + 1, name.size() - 2};
    at_ = words.at;
    return true;
}

bool is_json(std::string_view text) {
    Words words{text};
    words.skip_space();
    JsonValue value;
    return ValueReader{words}.read(0, value) && is_end(words);
}

bool Json::parse(std::string_view text) {
    members_.clear();
    Words words{text};
    words.skip_space();
    const std::size_t begin = words.at;
    if (words.peek() != '{') return ValueReader{words}.read(0, root_) && is_end(words);
    JsonMembers members{text.substr(begin)};
    for (JsonMember member; members.next(member);) {
        if (members_.size() == kMaxMembers) return false;
        members_.push_back(member);
    }
    if (!members.has_ended()) return false;
    root_ = {JsonType::object, text.substr(begin, text.rfind('}') + 1 - begin)};
    return true;
}

const JsonValue* Json::find(std::string_view name) const {
    for (auto member = members_.rbegin(); member != members_.rend(); ++member) {
        if (member->name == name) return &member->value;
    }
    return nullptr;
}

std::size_t decode_string(const JsonValue& value, char* target) {
    const std::string_view inside = value.text.substr(1, value.text.size() - 2);
    char* end = target;
    for (std::size_t at = 0; at < inside.size(); ++at) {
        if (inside[at] != '\\') {
            *end++ = inside[at];
        } else if (inside[++at] == 'u') {
            end = put_utf8(end, take_unicode(inside, at));
        } else {
            *end++ = unescaped(inside[at]);
        }
    }
    return static_cast<std::size_t>(end - target);
}

std::optional<std::string> string_of(const JsonValue& value) {
    if (value.type != JsonType::string) return std::nullopt;
    std::string text(value.text.size() - 2, '\0');
    text.resize(decode_string(value, text.data()));
    return text;
}

std::optional<std::int64_t> integer_of(const JsonValue& value) {
    if (value.type != JsonType::number) return std::nullopt;
    std::int64_t number = 0;
    const char* const end = value.text.data() + value.text.size();
    const auto [last, error] = std::from_chars(value.text.data(), end, number);
    if (error != std::errc{} || last != end) return std::nullopt;
    return number;
}

std::optional<bool> boolean_of(const JsonValue& value) {
    if (value.type != JsonType::boolean) return std::nullopt;
    return value.text == "true";
}

void append_string(std::string& line, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    line += '"';
    for (std::size_t at = 0; at < text.size();) {
        const auto c = static_cast<unsigned char>(text[at]);
        if (kPlain[c]) {
            line += text[at++];
        } else if (c >= 0x80) {
            const std::size_t length = utf8_length(text.substr(at));
            line += length == 0 ? std::string_view{"\xEF\xBF\xBD"} : text.substr(at, length);
            at += length == 0 ? 1 : length;
        } else {
            line += '\\';
            if (c == '"' || c == '\\') {
                line += text[at];
            } else if (c == '\n') {
                line += 'n';
            } else {
                line += "u00";
                line += kHex[c >> 4U];
                line += kHex[c & 0xFU];
            }
            ++at;
        }
    }
    line += '"';
}

}  // namespace cluster::channel
