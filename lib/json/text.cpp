// The only door to nlohmann/json: nothing else in the house includes it, since each file that does
// compiles for seconds. It does what is hard about JSON: reading it, escapes, and the digits of a
// double.
#include "json/text.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

namespace cluster::json {

using Library = nlohmann::json;

/// Builds the document as the parser goes on, and ends it at the first bound that is passed.
class Builder {
public:
    explicit Builder(const ParseBounds& bounds) : bounds_(bounds) {}

    bool null() { return add(nullptr); }
    bool boolean(bool value) { return add(value); }
    bool number_integer(std::int64_t value) { return add(value); }
    bool number_unsigned(std::uint64_t value) { return add(value); }
    bool number_float(double value, const std::string& /*text*/) { return add(value); }
    /// A copy: the parser goes on with its own string, and with the memory that it has already.
    bool string(const std::string& value) { return add(std::string_view{value}); }
    bool binary(const Library::binary_t& /*value*/) { return false; }  // no JSON has it

    bool start_object(std::size_t /*unknown*/) { return enter(Json::object()); }
    bool start_array(std::size_t /*unknown*/) { return enter(Json::array()); }
    bool end_object() {
        usual_fields_ = std::get<Json::Fields>(open_.back()->value_).size();
        return leave();
    }
    bool end_array() { return leave(); }

    bool key(const std::string& name) {
        auto& fields = std::get<Json::Fields>(open_.back()->value_);
        const auto is_same = [&](const Field& field) { return field.name == name; };
        const auto same = std::find_if(fields.begin(), fields.end(), is_same);
        if (same != fields.end() && bounds_.last_key_counts) {
            field_ = &same->value;
            return true;
        }
        if (fields.size() >= bounds_.keys_per_object) {
            return refuse("more than " + std::to_string(bounds_.keys_per_object) +
                          " fields in one object");
        }
        if (same != fields.end()) {
            return refuse("field \"" + clip(name) + "\" stands twice in one object");
        }
        if (fields.empty()) {
            // Taken, so that each object that has ended makes room in one other at most.
            fields.reserve(std::min(std::exchange(usual_fields_, 0), kMostReserved));
        }
        field_ = &fields.emplace_back(Field{name, {}}).value;
        return true;
    }

    bool parse_error(std::size_t byte, const std::string& /*token*/,
                     const Library::exception& error) {
        if (dynamic_cast<const Library::parse_error*>(&error) == nullptr) {
            return refuse("not JSON: a number is out of range");
        }
        return refuse("not JSON: mistake at byte " + std::to_string(byte));
    }

    [[nodiscard]] tl::expected<Json, std::string> take() {
        if (!problem_.empty()) return tl::unexpected<std::string>(std::move(problem_));
        return std::move(document_);
    }

private:
    bool refuse(std::string problem) {
        problem_ = std::move(problem);
        return false;
    }

    bool enter(Json container) {
        Json* const place = put(std::move(container));
        if (place == nullptr) return false;
        if (open_.size() >= bounds_.depth) {
            return refuse("nested more than " + std::to_string(bounds_.depth) + " deep");
        }
        open_.push_back(place);
        return true;
    }

    bool leave() {
        open_.pop_back();
        return true;
    }

    bool add(Json value) { return put(std::move(value)) != nullptr; }

    /// Where it lies until the container around it is left: nothing is added to that meanwhile.
    /// Null: it is one too many.
    Json* put(Json&& value) {
        if (++values_ > bounds_.values) {
            refuse("more than " + std::to_string(bounds_.values) + " values");
            return nullptr;
        }
        if (open_.empty()) {
            document_ = std::move(value);
            return &document_;
        }
        if (auto* const elements = std::get_if<Json::Elements>(&open_.back()->value_)) {
            return &elements->emplace_back(std::move(value));
        }
        *field_ = std::move(value);
        return field_;
    }

    static constexpr std::size_t kMostReserved = 32;

    ParseBounds bounds_;
    std::size_t values_ = 0;
    std::size_t usual_fields_ = 0;  // of the last object that ended: mostly the next has as many
    Json document_;
    std::vector<Json*> open_;
    Json* field_ = nullptr;  // of the innermost object: what its last key stands for
    std::string problem_;
};

namespace {

/// Compact, or with a line and two spaces a level for each element.
class Writer {
public:
    Writer(std::string& out, bool is_pretty) : out_(out), is_pretty_(is_pretty) {}

    void write(const Json& json) {
        if (json.is_array()) return write_elements(json.elements());
        if (json.is_object()) return write_fields(json.fields());
        if (const std::string* const text = json.text()) return append_quoted(out_, *text);
        if (const auto value = json.boolean()) {
            out_ += *value ? "true" : "false";
        } else if (const auto counter = json.counter()) {
            write_digits(*counter);
        } else if (const auto integer = json.integer()) {
            write_digits(*integer);
        } else if (const auto real = json.real()) {
            append_real(out_, *real);
        } else {
            out_ += "null";
        }
    }

private:
    void write_elements(const Json::Elements& elements) {
        const char* separator = "";
        open('[');
        for (const Json& element : elements) {
            out_ += std::exchange(separator, ",");
            break_line();
            write(element);
        }
        close(']', elements.empty());
    }

    void write_fields(const Json::Fields& fields) {
        const char* separator = "";
        open('{');
        for (const Field& field : fields) {
            out_ += std::exchange(separator, ",");
            break_line();
            append_quoted(out_, field.name);
            out_ += is_pretty_ ? ": " : ":";
            write(field.value);
        }
        close('}', fields.empty());
    }

    template <class T>
    void write_digits(T value) {
        char digits[24];
        const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
        out_.append(digits, end);
    }

    void open(char bracket) {
        out_ += bracket;
        ++depth_;
    }

    void close(char bracket, bool is_empty) {
        --depth_;
        if (!is_empty) break_line();
        out_ += bracket;
    }

    void break_line() {
        constexpr std::size_t kIndent = 2;
        if (is_pretty_) out_.append(1, '\n').append(depth_ * kIndent, ' ');
    }

    std::string& out_;
    bool is_pretty_;
    std::size_t depth_ = 0;
};

}  // namespace

tl::expected<Json, std::string> parse(std::string_view text, const ParseBounds& bounds) {
    Builder builder(bounds);
    Library::sax_parse(text, &builder);
    return builder.take();
}

bool is_json(std::string_view text) {
    return Library::accept(text);
}

std::string dump_line(const Json& json) {
    std::string line;
    Writer(line, false).write(json);
    return line;
}

std::string dump_pretty(const Json& json) {
    std::string text;
    Writer(text, true).write(json);
    return text += '\n';
}

std::string quote(std::string_view text) {
    std::string line;
    append_quoted(line, text);
    return line;
}

void append_quoted(std::string& line, std::string_view text) {
    const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
    // Names and paths, nearly always: nothing to escape, and not one byte that could be no UTF-8.
    if (!std::all_of(text.begin(), text.end(), is_plain)) {
        line += Library(text).dump(-1, ' ', false, Library::error_handler_t::replace);
        return;
    }
    line += '"';
    line += text;
    line += '"';
}

void append_real(std::string& line, double value) {
    line += Library(value).dump();
}

bool is_utf8(std::string_view bytes) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::all_of(bytes.begin(), bytes.end(), is_ascii)) return true;
    // The library's own check, so that "can be written" and "is refused" never differ.
    try {
        static_cast<void>(Library(bytes).dump());
        return true;
    } catch (const Library::exception&) {
        return false;
    }
}

std::string clip(std::string_view name) {
    constexpr std::size_t kShown = 64;
    return std::string(name.substr(0, kShown)) + (name.size() > kShown ? "…" : "");
}

}  // namespace cluster::json
