#include "ctl/field_reader.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ctl/nearest.hpp"

namespace cluster::ctl {
namespace {

[[noreturn]] void throw_type(const std::string& where, const char* expected, const Json& value) {
    throw FieldError(where + ": expected " + expected + ", got " + value.type_name());
}

[[nodiscard]] int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
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
    auto document = json::parse(text, bounds);
    if (!document) throw FieldError(document.error());
    return std::move(*document);
}

Json exact_text(std::string_view bytes) {
    if (json::is_utf8(bytes)) return bytes;
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        hex.push_back(kDigits[byte >> 4U]);
        hex.push_back(kDigits[byte & 15U]);
    }
    return Json{{"hex", std::move(hex)}};
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

std::string read_text(const Json& value, const std::string& where) {
    const std::string* const text = value.text();
    if (text == nullptr) throw_type(where, "a string", value);
    return *text;
}

std::int64_t read_integer(const Json& value, const std::string& where, std::int64_t least,
                          std::int64_t most) {
    if (!value.is_integer()) throw_type(where, "an integer", value);
    const std::optional<std::int64_t> number = value.integer();
    if (!number || *number < least || *number > most) {
        throw FieldError(where + ": " + dump_line(value) + " is not between " +
                         std::to_string(least) + " and " + std::to_string(most));
    }
    return *number;
}

FieldReader::FieldReader(const Json& object, std::string where, UnknownFields unknown)
    : object_(object), where_(std::move(where)), unknown_(unknown) {
    if (!object.is_object()) throw_type(where_, "an object", object);
}

const Json* FieldReader::find(std::string_view name) {
    if (unknown_ == UnknownFields::refuse) known_.push_back(name);
    const Json* const found = object_.find(name);
    return found != nullptr && !found->is_null() ? found : nullptr;
}

const Json& FieldReader::require(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) throw FieldError(path(name) + ": is missing");
    return *value;
}

std::string FieldReader::text(std::string_view name) {
    const Json& value = require(name);
    const std::string* const text = value.text();
    if (text == nullptr) throw_type(path(name), "a string", value);
    return *text;
}

std::string FieldReader::exact(std::string_view name) {
    return read_exact_text(require(name), path(name));
}

std::optional<std::string> FieldReader::optional_text(std::string_view name) {
    if (find(name) == nullptr) return std::nullopt;
    return text(name);
}

bool FieldReader::boolean(std::string_view name) {
    const Json& value = require(name);
    const std::optional<bool> boolean = value.boolean();
    if (!boolean) throw_type(path(name), "true or false", value);
    return *boolean;
}

double FieldReader::real(std::string_view name, double least, double most) {
    const Json& value = require(name);
    const std::optional<double> number = value.real();
    if (!number) throw_type(path(name), "a number", value);
    if (!std::isfinite(*number) || *number < least || *number > most) {
        throw FieldError(path(name) + ": " + dump_line(value) + " is not between " +
                         dump_line(Json(least)) + " and " + dump_line(Json(most)));
    }
    return *number;
}

std::int64_t FieldReader::integer(std::string_view name, std::int64_t least, std::int64_t most) {
    return read_integer(require(name), path(name), least, most);
}

std::uint64_t FieldReader::counter(std::string_view name, std::uint64_t most) {
    const Json& value = require(name);
    if (!value.is_integer()) throw_type(path(name), "an integer", value);
    const std::optional<std::uint64_t> number = value.counter();
    if (!number || *number > most) {
        throw FieldError(path(name) + ": " + dump_line(value) + " is not between 0 and " +
                         std::to_string(most));
    }
    return *number;
}

const Json::Elements& FieldReader::array(std::string_view name, std::size_t most) {
    const Json& value = require(name);
    if (!value.is_array()) throw_type(path(name), "an array", value);
    if (value.elements().size() > most) {
        throw FieldError(path(name) + ": more than " + std::to_string(most) + " elements");
    }
    return value.elements();
}

std::vector<std::string> FieldReader::texts(std::string_view name, std::size_t most) {
    const Json::Elements& elements = array(name, most);
    std::vector<std::string> result;
    result.reserve(elements.size());
    for (const Json& element : elements) {
        result.push_back(read_text(element, path(name, result.size())));
    }
    return result;
}

std::vector<std::string> FieldReader::exact_texts(std::string_view name, std::size_t most) {
    const Json::Elements& elements = array(name, most);
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
    for (const auto& [name, value] : object_.fields()) {
        if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
        throw FieldError(path(clip(name)) + ": unknown field" + suggestion(name, known_));
    }
}

}  // namespace cluster::ctl
