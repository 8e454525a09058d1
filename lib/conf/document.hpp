// A TOML text as a tree of plain values with positions, in the order of the text.
//
// The only door to toml++: nothing else in the room includes it. toml++ stops at its first error,
// so this reader takes the offending line out and tries again as long as that is sure to be fair to
// the rest of the text; otherwise the message says from which line on nothing was read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conf/report.hpp"

namespace cluster::conf {

struct Member;

struct Node {
    enum class Kind : std::uint8_t { table, array, string, integer, real, boolean, time };

    Kind kind = Kind::table;
    Position at;
    std::string text;  // string: its value; time: as written in TOML
    std::int64_t integer = 0;
    double real = 0;
    bool boolean = false;
    std::vector<Member> members;  // table
    std::vector<Node> items;      // array
};

/// One key of a table with its value. `at` is the place of the key.
struct Member {
    std::string key;
    Position at;
    Node value;
};

struct Document {
    Node root;  // always a table
    bool is_complete =
        true;  // false: lines were left out because of errors, so nothing can be called missing
};

/// Bounds: values deeper than 32 levels read as empty tables; more than 20 syntax errors end the
/// reading.
[[nodiscard]] Document parse_document(std::string_view text, Report& report);

/// A value as it is named in messages: `"text"`, `5`, `true`, `an array`, `a table`.
[[nodiscard]] std::string describe(const Node& node);

}  // namespace cluster::conf
