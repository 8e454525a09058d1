#include "json/json.hpp"

#include <utility>

#include "base/assert.hpp"

namespace cluster::json {
namespace {

const Json kNull;
const Json::Elements kNoElements;
const Json::Fields kNoFields;

}  // namespace

// --- making one

Json::Json(std::nullptr_t) noexcept : value_(nullptr) {}

Json::Json(Boolean boolean) noexcept : value_(boolean.value) {}

Json::Json(Signed integer) noexcept : value_(integer.value) {
    if (integer.value >= 0) value_ = static_cast<std::uint64_t>(integer.value);
}

Json::Json(Unsigned integer) noexcept : value_(integer.value) {}

Json::Json(double value) noexcept : value_(value) {}

Json::Json(std::string_view text) : value_(std::in_place_type<std::string>, text) {}

Json::Json(std::string&& text) noexcept : value_(std::move(text)) {}

Json::Json(const std::vector<std::string>& texts)
    : value_(std::in_place_type<Elements>, texts.begin(), texts.end()) {}

Json::Json(std::initializer_list<NewField> fields) : value_(std::in_place_type<Fields>) {
    auto& own = std::get<Fields>(value_);
    own.reserve(fields.size());
    for (const NewField& field : fields) {
        own.push_back({std::string(field.name), std::move(field.value)});
    }
}

Json Json::array() {
    Json json;
    json.value_.emplace<Elements>();
    return json;
}

Json Json::object() {
    Json json;
    json.value_.emplace<Fields>();
    return json;
}

Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json& Json::operator[](std::string_view name) {
    if (is_null()) value_.emplace<Fields>();
    auto* const fields = std::get_if<Fields>(&value_);
    CLUSTER_ASSERT(fields != nullptr);
    for (Field& field : *fields) {
        if (field.name == name) return field.value;
    }
    return fields->emplace_back(Field{std::string(name), {}}).value;
}

Json& Json::push_back(Json element) {
    if (is_null()) value_.emplace<Elements>();
    auto* const elements = std::get_if<Elements>(&value_);
    CLUSTER_ASSERT(elements != nullptr);
    return elements->emplace_back(std::move(element));
}

// --- asking one

bool Json::is_null() const {
    return std::holds_alternative<std::nullptr_t>(value_);
}

bool Json::is_boolean() const {
    return std::holds_alternative<bool>(value_);
}

bool Json::is_number() const {
    return is_integer() || std::holds_alternative<double>(value_);
}

bool Json::is_integer() const {
    return std::holds_alternative<std::int64_t>(value_) ||
           std::holds_alternative<std::uint64_t>(value_);
}

bool Json::is_string() const {
    return std::holds_alternative<std::string>(value_);
}

bool Json::is_array() const {
    return std::holds_alternative<Elements>(value_);
}

bool Json::is_object() const {
    return std::holds_alternative<Fields>(value_);
}

const char* Json::type_name() const {
    if (is_null()) return "null";
    if (is_boolean()) return "boolean";
    if (is_string()) return "string";
    if (is_array()) return "array";
    if (is_object()) return "object";
    return "number";
}

std::optional<bool> Json::boolean() const {
    const auto* const value = std::get_if<bool>(&value_);
    return value != nullptr ? std::optional{*value} : std::nullopt;
}

std::optional<std::int64_t> Json::integer() const {
    if (const auto* const value = std::get_if<std::int64_t>(&value_)) return *value;
    const auto* const value = std::get_if<std::uint64_t>(&value_);
    if (value == nullptr || !std::in_range<std::int64_t>(*value)) return std::nullopt;
    return static_cast<std::int64_t>(*value);
}

std::optional<std::uint64_t> Json::counter() const {
    const auto* const value = std::get_if<std::uint64_t>(&value_);
    return value != nullptr ? std::optional{*value} : std::nullopt;
}

std::optional<double> Json::real() const {
    if (const auto* const value = std::get_if<double>(&value_)) return *value;
    if (const auto value = counter()) return static_cast<double>(*value);
    if (const auto value = integer()) return static_cast<double>(*value);
    return std::nullopt;
}

const std::string* Json::text() const {
    return std::get_if<std::string>(&value_);
}

const Json::Elements& Json::elements() const {
    const auto* const elements = std::get_if<Elements>(&value_);
    return elements != nullptr ? *elements : kNoElements;
}

const Json::Fields& Json::fields() const {
    const auto* const fields = std::get_if<Fields>(&value_);
    return fields != nullptr ? *fields : kNoFields;
}

const Json* Json::find(std::string_view name) const {
    for (const Field& field : fields()) {
        if (field.name == name) return &field.value;
    }
    return nullptr;
}

const Json& Json::get(std::string_view name) const {
    const Json* const found = find(name);
    return found != nullptr ? *found : kNull;
}

std::optional<std::string> Json::text_of(std::string_view name) const {
    const std::string* const found = get(name).text();
    return found != nullptr ? std::optional{*found} : std::nullopt;
}

bool operator==(const Json& one, const Json& other) {
    return one.value_ == other.value_;
}

}  // namespace cluster::json
