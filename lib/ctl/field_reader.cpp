#include "ctl/field_reader.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "ctl/nearest.hpp"

namespace cluster::ctl {
namespace {

/// Builds the document as the parser goes on, and ends it at the first bound that is passed. What the
/// library's own builder does with a callback, without a copy of each key and a call for each value.
class BoundedBuilder {
public:
    explicit BoundedBuilder(const ParseBounds& bounds) : bounds_(bounds) {}

    bool null() { return add(nullptr); }
    bool boolean(bool value) { return add(value); }
    bool number_integer(Json::number_integer_t value) { return add(value); }
    bool number_unsigned(Json::number_unsigned_t value) { return add(value); }
    bool number_float(Json::number_float_t value, const Json::string_t& /*text*/) {
        return add(value);
    }
    bool string(Json::string_t& value) { return add(std::move(value)); }
    bool binary(Json::binary_t& /*value*/) { return false; }  // no JSON has it

    bool start_object(std::size_t /*unknown*/) { return enter(Json::object()); }
    bool start_array(std::size_t /*unknown*/) { return enter(Json::array()); }
    bool end_object() { return leave(); }
    bool end_array() { return leave(); }

    bool key(Json::string_t& name) {
        auto& fields = open_.back()->get_ref<Json::object_t&>();
        if (fields.size() >= bounds_.keys_per_object) {
            throw FieldError("more than " + std::to_string(bounds_.keys_per_object) +
                             " fields in one object");
        }
        const auto is_same = [&](const auto& field) { return field.first == name; };
        if (std::any_of(fields.begin(), fields.end(), is_same)) {
            throw FieldError("field \"" + clip(name) + "\" stands twice in one object");
        }
        fields.emplace_back(std::move(name), Json());
        field_ = &fields.back().second;
        return true;
    }

    bool parse_error(std::size_t byte, const std::string& /*token*/, const Json::exception& error) {
        if (dynamic_cast<const Json::parse_error*>(&error) == nullptr) {
            throw FieldError("not JSON: a number is out of range");
        }
        throw FieldError("not JSON: mistake at byte " + std::to_string(byte));
    }

    [[nodiscard]] Json take() { return std::move(document_); }

private:
    bool enter(Json container) {
        Json* const place = put(std::move(container));
        if (open_.size() >= bounds_.depth) {
            throw FieldError("nested more than " + std::to_string(bounds_.depth) + " deep");
        }
        open_.push_back(place);
        return true;
    }

    bool leave() {
        open_.pop_back();
        return true;
    }

    template <class T>
    bool add(T&& value) {
        put(std::forward<T>(value));
        return true;
    }

    /// Where it lies until the container around it is left: nothing is added to that meanwhile.
    template <class T>
    Json* put(T&& value) {
        if (++values_ > bounds_.values) {
            throw FieldError("more than " + std::to_string(bounds_.values) + " values");
        }
        if (open_.empty()) {
            document_ = std::forward<T>(value);
            return &document_;
        }
        if (open_.back()->is_array()) {
            auto& elements = open_.back()->get_ref<Json::array_t&>();
            return &elements.emplace_back(std::forward<T>(value));
        }
        *field_ = std::forward<T>(value);
        return field_;
    }

    ParseBounds bounds_;
    std::size_t values_ = 0;
    Json document_;
    std::vector<Json*> open_;
    Json* field_ = nullptr;  // of the innermost object: what its last key stands for
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
    BoundedBuilder builder(bounds);
    Json::sax_parse(text, &builder);
    return builder.take();
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
