#include "ctl/field_reader.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "ctl/nearest.hpp"

namespace cluster::ctl {
namespace {

/// Watches a parse as it goes on and ends it at the first bound that is passed.
class ParseWatch {
public:
    explicit ParseWatch(const ParseBounds& bounds) : bounds_(bounds) {}

    bool operator()(int /*depth*/, Json::parse_event_t event, Json& parsed) {
        switch (event) {
            case Json::parse_event_t::object_start:
            case Json::parse_event_t::array_start:
                enter();
                break;
            case Json::parse_event_t::object_end:
            case Json::parse_event_t::array_end:
                keys_[--open_].clear();
                break;
            case Json::parse_event_t::key:
                add_key(parsed.get_ref<const std::string&>());
                break;
            case Json::parse_event_t::value:
                count();
                break;
        }
        return true;
    }

private:
    void enter() {
        count();
        if (open_ >= bounds_.depth) {
            throw FieldError("nested more than " + std::to_string(bounds_.depth) + " deep");
        }
        if (open_++ == keys_.size()) keys_.emplace_back();
    }

    void count() {
        if (++values_ > bounds_.values) {
            throw FieldError("more than " + std::to_string(bounds_.values) + " values");
        }
    }

    void add_key(const std::string& key) {
        std::vector<std::string>& keys = keys_[open_ - 1];
        if (keys.size() >= bounds_.keys_per_object) {
            throw FieldError("more than " + std::to_string(bounds_.keys_per_object) +
                             " fields in one object");
        }
        if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
            throw FieldError("field \"" + clip(key) + "\" stands twice in one object");
        }
        keys.push_back(key);
    }

    ParseBounds bounds_;
    std::size_t values_ = 0;
    /// Of the objects that are open, an array has none; and the memory of those that are closed. They
    /// are few enough to be looked through, which takes no memory for each.
    std::vector<std::vector<std::string>> keys_;
    std::size_t open_ = 0;
};

[[nodiscard]] std::string type_of(const Json& value) {
    if (value.is_null()) return "null";
    return value.type_name();
}

[[noreturn]] void throw_type(const std::string& where, const char* expected, const Json& value) {
    throw FieldError(where + ": expected " + expected + ", got " + type_of(value));
}

[[nodiscard]] int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

[[nodiscard]] bool is_utf8(std::string_view bytes) {
    // The library's own check, so that "can be written" and "is refused" never differ.
    try {
        (void)Json(bytes).dump();
        return true;
    } catch (const Json::exception&) {
        return false;
    }
}

[[nodiscard]] std::string from_hex(const std::string& text, const std::string& where) {
    std::string bytes;
    if (text.size() % 2 != 0) throw FieldError(where + ": an odd number of hex digits");
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = hex_digit(text[i]);
        const int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) throw FieldError(where + ": expected lower-case hex digits");
        bytes.push_back(static_cast<char>(high * 16 + low));
    }
    return bytes;
}

}  // namespace

Json parse_bounded(std::string_view text, const ParseBounds& bounds) {
    try {
        return Json::parse(text, ParseWatch(bounds));
    } catch (const Json::parse_error& error) {
        throw FieldError("not JSON: mistake at byte " + std::to_string(error.byte));
    } catch (const Json::exception&) {
        throw FieldError("not JSON: a number is out of range");
    }
}

std::string dump_line(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump_pretty(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json exact_text(std::string_view bytes) {
    if (is_utf8(bytes)) return Json(bytes);
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        hex.push_back(kDigits[byte >> 4U]);
        hex.push_back(kDigits[byte & 15U]);
    }
    return Json{{"hex", hex}};
}

std::string read_exact_text(const Json& value, const std::string& where) {
    std::string text;
    if (value.is_object()) {
        FieldReader fields(value, where);
        text = from_hex(fields.text("hex"), where + ".hex");
        fields.finish();
    } else {
        text = read_text(value, where);
    }
    if (text.find('\0') != std::string::npos) throw FieldError(where + ": contains a NUL byte");
    return text;
}

std::string clip(std::string_view name) {
    constexpr std::size_t kShown = 64;
    return std::string(name.substr(0, kShown)) + (name.size() > kShown ? "…" : "");
}

std::string read_text(const Json& value, const std::string& where) {
    if (!value.is_string()) throw_type(where, "a string", value);
    return value.get<std::string>();
}

std::int64_t read_integer(const Json& value, const std::string& where, std::int64_t least,
                          std::int64_t most) {
    if (!value.is_number_integer()) throw_type(where, "an integer", value);
    const bool is_too_large =
        value.is_number_unsigned() && std::cmp_greater(value.get<std::uint64_t>(), most);
    const std::int64_t number = is_too_large ? 0 : value.get<std::int64_t>();
    if (is_too_large || number < least || number > most) {
        throw FieldError(where + ": " + value.dump() + " is not between " + std::to_string(least) +
                         " and " + std::to_string(most));
    }
    return number;
}

FieldReader::FieldReader(const Json& object, std::string where, UnknownFields unknown)
    : object_(object), where_(std::move(where)), unknown_(unknown) {
    if (!object.is_object()) throw_type(where_, "an object", object);
}

const Json* FieldReader::find(std::string_view name) {
    known_.push_back(name);
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) return nullptr;
    return &*found;
}

const Json& FieldReader::require(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) throw FieldError(path(name) + ": is missing");
    return *value;
}

std::string FieldReader::text(std::string_view name) {
    return read_text(require(name), path(name));
}

std::string FieldReader::exact(std::string_view name) {
    return read_exact_text(require(name), path(name));
}

std::optional<std::string> FieldReader::optional_text(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    return read_text(*value, path(name));
}

bool FieldReader::boolean(std::string_view name) {
    const Json& value = require(name);
    if (!value.is_boolean()) throw_type(path(name), "true or false", value);
    return value.get<bool>();
}

double FieldReader::real(std::string_view name, double least, double most) {
    const Json& value = require(name);
    if (!value.is_number()) throw_type(path(name), "a number", value);
    const double number = value.get<double>();
    if (!std::isfinite(number) || number < least || number > most) {
        throw FieldError(path(name) + ": " + value.dump() + " is not between " +
                         Json(least).dump() + " and " + Json(most).dump());
    }
    return number;
}

std::int64_t FieldReader::integer(std::string_view name, std::int64_t least, std::int64_t most) {
    return read_integer(require(name), path(name), least, most);
}

std::uint64_t FieldReader::counter(std::string_view name, std::uint64_t most) {
    const Json& value = require(name);
    if (!value.is_number_integer()) throw_type(path(name), "an integer", value);
    const bool is_negative = !value.is_number_unsigned() && value.get<std::int64_t>() < 0;
    if (is_negative || value.get<std::uint64_t>() > most) {
        throw FieldError(path(name) + ": " + value.dump() + " is not between 0 and " +
                         std::to_string(most));
    }
    return value.get<std::uint64_t>();
}

const Json& FieldReader::array(std::string_view name, std::size_t most) {
    const Json& value = require(name);
    if (!value.is_array()) throw_type(path(name), "an array", value);
    if (value.size() > most) {
        throw FieldError(path(name) + ": more than " + std::to_string(most) + " elements");
    }
    return value;
}

std::vector<std::string> FieldReader::texts(std::string_view name, std::size_t most) {
    const Json& elements = array(name, most);
    std::vector<std::string> result;
    result.reserve(elements.size());
    for (const Json& element : elements) {
        result.push_back(read_text(element, path(name, result.size())));
    }
    return result;
}

std::vector<std::string> FieldReader::exact_texts(std::string_view name, std::size_t most) {
    const Json& elements = array(name, most);
    std::vector<std::string> result;
    result.reserve(elements.size());
    for (const Json& element : elements) {
        result.push_back(read_exact_text(element, path(name, result.size())));
    }
    return result;
}

std::string FieldReader::path(std::string_view name) const {
    return where_ + (where_.empty() ? "" : ".") + std::string(name);
}

std::string FieldReader::path(std::string_view name, std::size_t index) const {
    return path(name) + "[" + std::to_string(index) + "]";
}

void FieldReader::finish() const {
    if (unknown_ == UnknownFields::ignore) return;
    for (const auto& item : object_.items()) {
        if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
        throw FieldError(path(clip(item.key())) + ": unknown field" +
                         suggestion(item.key(), known_));
    }
}

}  // namespace cluster::ctl
