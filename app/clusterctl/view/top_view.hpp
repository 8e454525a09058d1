// The screen of `top`: pure, from what the daemon says and what the user chose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "clusterctl/view/status_view.hpp"
#include "ctl/protocol.hpp"

namespace cluster::clusterctl {

enum class TopOrder : std::uint8_t { id, cpu, memory, restarts, uptime };

struct TopChoice {
    TopOrder order = TopOrder::cpu;
    bool is_reversed = false;
    std::size_t first_row = 0;  // how many rows are scrolled away
};

/// What of a row it needs, by JSON names.
[[nodiscard]] std::vector<std::string> top_fields();

/// The key's meaning for what is shown: c m r u n (order; the same again reverses it), j k and
/// arrows as 'j' 'k', space and b (pages). False: the key means nothing here.
[[nodiscard]] bool take_top_key(char key, std::size_t rows_shown, std::size_t rows_there,
                                TopChoice& choice);

/// Exactly `height` lines, none wider than options.width, without a newline behind the last one.
/// `remark` stands in the first line (that the daemon does not answer); may be empty.
[[nodiscard]] std::string render_top(ctl::StatusAnswer status, const TopChoice& choice,
                                     std::size_t height, const std::string& remark,
                                     const ViewOptions& options);

/// How many rows of workers such a screen has room for.
[[nodiscard]] std::size_t top_rows(std::size_t height);

}  // namespace cluster::clusterctl
