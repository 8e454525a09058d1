// JSON of strangers, read with suspicion: a bounded parse (json/text.hpp), and fields that are
// asked for by name and type.
//
// Private to this room, and used by its .cpp files only. Everything here throws FieldError for a
// mistake in the text; the room's doors (parse_request, parse_spec, …) catch it and hand out its
// message.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.hpp"
#include "json/text.hpp"

namespace cluster::ctl {

using json::clip;
using json::Json;
using json::ParseBounds;

class FieldError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Throws FieldError that says what is wrong and at which byte.
[[nodiscard]] Json parse_bounded(std::string_view text, const ParseBounds& bounds);

/// Text that must come back byte for byte though it may not be UTF-8 (paths, arguments,
/// environment): a string, or
/// {"hex": "…"} for what a JSON string cannot hold.
[[nodiscard]] Json exact_text(std::string_view bytes);
/// The reverse of exact_text. Never returns a NUL inside: the kernel would cut the text there.
[[nodiscard]] std::string read_exact_text(const Json& value, const std::string& where);

/// What to do with fields that nobody asked for.
enum class UnknownFields : std::uint8_t {
    refuse,  // requests: a typing mistake must not pass in silence
    ignore,  // answers: a newer daemon may say more
};

/// Reads the fields of one object. `where` names the object in messages ("params",
/// "params.spec.backoff").
class FieldReader {
public:
    FieldReader(const Json& object, std::string where,
                UnknownFields unknown = UnknownFields::refuse);

    /// The field, or null where it is absent or JSON's null; it counts as known from now on.
    [[nodiscard]] const Json* find(std::string_view name);
    /// As find, but absence is an error.
    [[nodiscard]] const Json& require(std::string_view name);

    [[nodiscard]] std::string text(std::string_view name);
    [[nodiscard]] std::string exact(std::string_view name);
    [[nodiscard]] std::optional<std::string> optional_text(std::string_view name);
    [[nodiscard]] bool boolean(std::string_view name);
    [[nodiscard]] double real(std::string_view name, double least, double most);
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t least,
                                       std::int64_t most);
    [[nodiscard]] std::uint64_t counter(
        std::string_view name, std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
    [[nodiscard]] std::vector<std::string> texts(std::string_view name, std::size_t most);
    [[nodiscard]] std::vector<std::string> exact_texts(std::string_view name, std::size_t most);
    /// An array; its elements are the caller's to read, with `path(name, index)` as their name.
    [[nodiscard]] const Json::Elements& array(std::string_view name, std::size_t most);

    /// "params.spec.env" and "params.spec.env[3]".
    [[nodiscard]] std::string path(std::string_view name) const;
    [[nodiscard]] std::string path(std::string_view name, std::size_t index) const;

    /// Throws for a field that was not asked for, with the nearest one that was.
    void finish() const;

private:
    const Json& object_;
    std::string where_;
    UnknownFields unknown_;
    std::vector<std::string_view> known_;  // nothing where unknown ones are ignored
};

[[nodiscard]] std::int64_t read_integer(const Json& value, const std::string& where,
                                        std::int64_t least, std::int64_t most);
[[nodiscard]] std::string read_text(const Json& value, const std::string& where);

}  // namespace cluster::ctl
