// One line of the event file (lib/supervisor/EVENTS.md), as a reader sees it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cluster::ctl {

struct Event {
    std::uint64_t sequence = 0;
    std::int64_t at_ms = 0;  // since 1970
    std::string type;
    /// The other fields in order; strings as they are, lists of strings joined by blanks, everything
    /// else as JSON.
    struct Field {
        std::string name;
        std::string value;
        std::vector<std::string> list;  // the elements of a list of strings
    };
    std::vector<Field> fields;

    /// Empty where there is no such field.
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> list(std::string_view name) const;
};

/// None for a line that is no event: a torn one, or somebody else's.
[[nodiscard]] std::optional<Event> parse_event(std::string_view line);

}  // namespace cluster::ctl
