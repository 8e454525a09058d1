// A value of JSON as a plain value: made field by field, or read from a text (json/text.hpp), and
// asked for what it holds.
//
// Everything is defined in json.cpp, so that a file which speaks JSON compiles in a moment and
// holds calls only. No question is an error: one of the wrong type is answered by nothing (a null
// pointer, nullopt, an empty list), and whether that is a mistake is the asker's to say.
//
// Copying, comparing, writing and destroying walk a document by recursion, as deep as it is nested.
// Texts are read within a bound on that (ParseBounds::depth); what we make ourselves is flat.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cluster::json {

struct Field;
struct NewField;

template <class T>
concept UnsignedNumber = std::unsigned_integral<T> && !std::same_as<T, bool>;

class Json {
public:
    using Elements = std::vector<Json>;
    /// In the order in which they were written, each name once.
    using Fields = std::vector<Field>;

    // --- making one: implicit, so that Json{{"name", name}, {"pid", pid}} reads as what it writes

    Json() noexcept : Json(nullptr) {}
    Json(std::nullptr_t) noexcept;
    template <std::same_as<bool> T>  // nothing that only converts to it, as pointers do
    Json(T value) noexcept : Json(Boolean{value}) {}
    template <std::signed_integral T>
    Json(T value) noexcept : Json(Signed{value}) {}
    template <UnsignedNumber T>
    Json(T value) noexcept : Json(Unsigned{value}) {}
    Json(double value) noexcept;  // what is not finite is written as null
    Json(std::string_view text);
    Json(const std::string& text) : Json(std::string_view{text}) {}
    Json(std::string&& text) noexcept;
    Json(const char* text) : Json(std::string_view{text}) {}
    Json(const std::vector<std::string>& texts);
    /// Null where there is none.
    template <class T>
    Json(const std::optional<T>& value) : Json(nullptr) {
        if (value) *this = Json(*value);
    }
    /// An object. Requires: each name once.
    Json(std::initializer_list<NewField> fields);

    [[nodiscard]] static Json array();
    [[nodiscard]] static Json object();

    Json(const Json& other);
    Json(Json&& other) noexcept;
    Json& operator=(const Json& other);
    Json& operator=(Json&& other) noexcept;
    ~Json();

    /// The field, made with null where there is none. Requires: an object, or null, which becomes
    /// one.
    Json& operator[](std::string_view name);
    /// Requires: an array, or null, which becomes one.
    Json& push_back(Json element);

    // --- asking one

    [[nodiscard]] bool is_null() const;
    [[nodiscard]] bool is_boolean() const;
    [[nodiscard]] bool is_number() const;
    [[nodiscard]] bool is_integer() const;  // written without fraction and exponent
    [[nodiscard]] bool is_string() const;
    [[nodiscard]] bool is_array() const;
    [[nodiscard]] bool is_object() const;
    /// "null", "boolean", "number", "string", "array" or "object".
    [[nodiscard]] const char* type_name() const;

    [[nodiscard]] std::optional<bool> boolean() const;
    /// An integer that fits.
    [[nodiscard]] std::optional<std::int64_t> integer() const;
    [[nodiscard]] std::optional<std::uint64_t> counter() const;
    /// Any number; a large integer becomes the nearest double.
    [[nodiscard]] std::optional<double> real() const;
    [[nodiscard]] const std::string* text() const;

    /// Of an array; of everything else, none.
    [[nodiscard]] const Elements& elements() const;
    /// Of an object; of everything else, none.
    [[nodiscard]] const Fields& fields() const;
    /// A field of an object.
    [[nodiscard]] const Json* find(std::string_view name) const;
    /// The same, and null where there is none.
    [[nodiscard]] const Json& get(std::string_view name) const;
    /// The text of a field; nothing where there is none.
    [[nodiscard]] std::optional<std::string> text_of(std::string_view name) const;

    /// Same types and values, fields in the same order; an integer is no double.
    friend bool operator==(const Json& one, const Json& other);

private:
    friend class Builder;  // of text.cpp: it adds to arrays and objects that it knows to be such

    struct Boolean {
        bool value;
    };
    struct Signed {
        std::int64_t value;
    };
    struct Unsigned {
        std::uint64_t value;
    };
    explicit Json(Boolean boolean) noexcept;
    explicit Json(Signed integer) noexcept;
    explicit Json(Unsigned integer) noexcept;

    /// Of the integers, the negative ones are signed and all others unsigned, so that a number is
    /// the same however it came here.
    std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Elements,
                 Fields>
        value_;
};

struct Field {
    std::string name;
    Json value;

    friend bool operator==(const Field& one, const Field& other) = default;
};

/// What a list of fields in braces is made of. An initializer_list is constant, and its values are
/// taken out of it all the same: they may be long lists.
struct NewField {
    std::string_view name;
    mutable Json value;
};

}  // namespace cluster::json
