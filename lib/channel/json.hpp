// One line of JSON, checked whole and cut into its top-level members, without a copy.
//
// What a worker sends is passed on as it stands: digits, order and escapes of its numbers and
// strings are its own business. So nothing is turned into a tree and back; a value is the piece of
// text where it stands. Strict: RFC 8259 and UTF-8, so that what was accepted here cannot kill the
// reader of another worker. Depth is bounded, and no input makes it recurse.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cluster::channel {

/// Deeper values are refused. Why: the JSON readers of other languages recurse, and those of Python
/// and of Ruby give up at 1000 and at 100; a stack overflow in one of them would be our doing.
inline constexpr std::size_t kMaxDepth = 100;
/// Objects with more top-level members are refused: nobody writes them, and each takes room.
inline constexpr std::size_t kMaxMembers = 4096;

enum class JsonType : std::uint8_t { null, boolean, number, string, array, object };

/// A value as it stands in the line.
struct JsonValue {
    JsonType type = JsonType::null;
    std::string_view text;

    [[nodiscard]] bool is_string() const { return type == JsonType::string; }
};

/// Whether the text is exactly one JSON value within the depth. Allocates nothing.
[[nodiscard]] bool is_json(std::string_view text);

struct JsonMember {
    std::string_view name;  // between its quotes
    JsonValue value;
};

/// The members of an object, one after the other. Allocates nothing.
class JsonMembers {
public:
    explicit JsonMembers(std::string_view text) : text_(text) {}

    /// False: that was the last one, or the rest is not the rest of one object.
    [[nodiscard]] bool next(JsonMember& member);
    /// True when the object has ended as it has to.
    [[nodiscard]] bool has_ended() const { return has_ended_; }

private:
    std::string_view text_;
    std::size_t at_ = 0;
    bool has_ended_ = false;
};

class Json {
public:
    /// Reads one value with nothing but white space around it. The text must outlive what is asked
    /// for afterwards. False: it is not exactly one JSON value, or beyond the bounds.
    [[nodiscard]] bool parse(std::string_view text);

    [[nodiscard]] const JsonValue& root() const { return root_; }
    /// A member of the root; of several with one name the last, as JavaScript has it. A name that
    /// is written with escapes is never found.
    [[nodiscard]] const JsonValue* find(std::string_view name) const;

private:
    JsonValue root_;
    std::vector<JsonMember> members_;
};

/// The characters of a string; a half of a surrogate pair becomes U+FFFD. Nothing for a value of
/// another type.
[[nodiscard]] std::optional<std::string> string_of(const JsonValue& value);
/// The same where memory is the caller's, which may be that of the value itself: as many bytes as
/// its text are enough. How many it took. Requires: a string.
std::size_t decode_string(const JsonValue& value, char* target);
/// A number without fraction and exponent, in range.
[[nodiscard]] std::optional<std::int64_t> integer_of(const JsonValue& value);
/// Any number.
[[nodiscard]] std::optional<double> number_of(const JsonValue& value);
[[nodiscard]] std::optional<bool> boolean_of(const JsonValue& value);

/// `text` as a JSON string; what is no UTF-8 becomes U+FFFD.
void append_string(std::string& line, std::string_view text);

/// The length of the UTF-8 sequence at the beginning of `text`; 0: it is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

}  // namespace cluster::channel
