// A table that never wraps: when it is too wide, columns shrink or go, the least important first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "clusterctl/view/style.hpp"

namespace cluster::clusterctl {

struct Column {
    std::string title;
    /// 0: stays, whatever happens; among the others the highest goes first.
    std::uint8_t expendable = 0;
    bool is_right_aligned = false;
    /// It may be cut down to so many columns before it goes; 0: it is never cut. A column that
    /// stays is cut as the last resort, whatever this says.
    std::size_t least_width = 0;
};

struct Cell {
    std::string text;  // without control characters
    Style style = Style::plain;
};

/// A header, then one line per row, each at most `width` columns wide (0: any). An expendable
/// column in which nothing stands is left out. The first column is the one that is cut when nothing
/// else is left to give way. Requires: every row has as many cells as there are columns; the
/// columns that stay need at most `width` - 2 besides the first.
[[nodiscard]] std::string render_table(const std::vector<Column>& columns,
                                       const std::vector<std::vector<Cell>>& rows,
                                       std::size_t width, bool has_colour);

}  // namespace cluster::clusterctl
