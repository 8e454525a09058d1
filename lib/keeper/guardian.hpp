// When the supervisor is started again, and from which file: a fixed table. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/time.hpp"

namespace cluster::keeper {

class Guardian {
public:
    /// The first start is due at once.
    explicit Guardian(Instant now) : next_start_(now) {}

    /// Deaths in a row wait 0, 0, 100, 200, 400, 800 ms and then 1 s each, for ever. A supervisor
    /// that lived for kCalm ends the row.
    static constexpr Duration kCalm = std::chrono::seconds(10);
    /// So many deaths within kCalm mean that this binary does not work here: the other one is
    /// tried.
    static constexpr std::size_t kDeathsUntilOther = 5;

    void on_started(Instant now);
    void on_died(Instant now);

    /// None while a supervisor lives.
    [[nodiscard]] std::optional<Instant> next_start() const { return next_start_; }
    /// True when the previous binary is to be started, if there is one. After as many quick deaths
    /// of that one it is the current binary's turn again: it may have been replaced by a working
    /// one.
    [[nodiscard]] bool prefers_previous() const { return prefers_previous_; }

private:
    std::optional<Instant> next_start_;
    Instant started_{};
    std::size_t deaths_in_row_ = 0;
    std::array<Instant, kDeathsUntilOther> recent_{};  // ring of deaths
    std::size_t recent_count_ = 0;                     // since the last change of the binary
    bool prefers_previous_ = false;
};

}  // namespace cluster::keeper
