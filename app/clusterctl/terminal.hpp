// What is at the other end of stdout and stderr.
#pragma once

#include <cstddef>

namespace cluster::clusterctl {

struct Terminal {
    bool is_terminal = false;
    bool has_colour = false;  // a terminal, and neither NO_COLOR nor TERM=dumb says otherwise

    /// Columns now (a window may be resized while we wait); 0 where there is no terminal. At
    /// least 20.
    [[nodiscard]] std::size_t width() const;

    int descriptor = -1;
};

[[nodiscard]] Terminal look_at(int descriptor);

}  // namespace cluster::clusterctl
