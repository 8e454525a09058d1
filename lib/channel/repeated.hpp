// The message of an application that came last, kept as it was understood: programs that count say
// the same again and again, and reading it is a third of what the daemon itself does for it (the
// kernel does three times as much).
//
// It remembers what a text says and nothing of what was done about it: rules are looked at each
// time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "channel/json.hpp"

namespace cluster::channel {

class RepeatedLine {
public:
    /// Longer ones cost more to compare and are seldom the same.
    static constexpr std::size_t kMaxBytes = 512;

    /// A message of an application; it is read when it comes a second time.
    void remember(std::string_view line) {
        is_read_ = false;
        line_.assign(line.size() <= kMaxBytes ? line : std::string_view{});
    }
    /// What the line says, valid until the next remember(); null: it is another one. An empty line
    /// is no JSON and never known.
    [[nodiscard]] const Json* find(std::string_view line) {
        if (line_.empty() || line != line_) return nullptr;
        if (!is_read_) is_read_ = json_.parse(line_);
        return is_read_ ? &json_ : nullptr;
    }

private:
    std::string line_;
    Json json_;  // points into line_
    bool is_read_ = false;
};

}  // namespace cluster::channel
