#include "clusterctl/view/table.hpp"

#include <algorithm>

#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

constexpr std::size_t kGap = 2;

/// Which columns are shown, and how wide: widths[i] of columns[i]; 0: not shown.
using Widths = std::vector<std::size_t>;

Widths natural_widths(const std::vector<Column>& columns,
                      const std::vector<std::vector<Cell>>& rows) {
    Widths widths;
    for (const Column& column : columns) widths.push_back(display_width(column.title));
    for (std::size_t i = 0; i < columns.size(); ++i) {
        bool is_empty = true;
        for (const std::vector<Cell>& row : rows) {
            widths[i] = std::max(widths[i], display_width(row[i].text));
            is_empty = is_empty && row[i].text.empty();
        }
        if (is_empty && columns[i].expendable > 0) widths[i] = 0;
    }
    return widths;
}

std::size_t total_width(const Widths& widths) {
    std::size_t total = 0;
    for (const std::size_t width : widths) {
        if (width > 0) total += width + (total > 0 ? kGap : 0);
    }
    return total;
}

/// The most expendable column that is still shown; none when only those are left that stay.
std::size_t first_to_go(const std::vector<Column>& columns, const Widths& widths) {
    std::size_t chosen = columns.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (widths[i] == 0 || columns[i].expendable == 0) continue;
        if (chosen == columns.size() || columns[i].expendable > columns[chosen].expendable) {
            chosen = i;
        }
    }
    return chosen;
}

void fit(const std::vector<Column>& columns, Widths& widths, std::size_t width) {
    while (total_width(widths) > width) {
        const std::size_t excess = total_width(widths) - width;
        const std::size_t chosen = first_to_go(columns, widths);
        if (chosen == columns.size()) {
            widths[0] -= std::min(widths[0] - 1, excess);
            return;
        }
        const std::size_t least = columns[chosen].least_width;
        const bool can_shrink = least > 0 && widths[chosen] >= least + excess;
        widths[chosen] = can_shrink ? widths[chosen] - excess : 0;
    }
}

std::string render_row(const std::vector<Column>& columns, const Widths& widths,
                       const std::vector<Cell>& cells, bool has_colour) {
    std::string line;
    std::size_t owed = 0;  // blanks before the next text: none is ever left at a line's end
    bool is_first = true;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (widths[i] == 0) continue;
        if (!is_first) owed += kGap;
        is_first = false;
        const std::string text = cut_to_width(cells[i].text, widths[i]);
        const std::size_t padding = widths[i] - display_width(text);
        if (columns[i].is_right_aligned) owed += padding;
        if (!text.empty()) {
            line.append(owed, ' ');
            line += paint(text, cells[i].style, has_colour);
            owed = 0;
        }
        if (!columns[i].is_right_aligned || text.empty()) owed += padding;
    }
    return line + "\n";
}

}  // namespace

std::string render_table(const std::vector<Column>& columns,
                         const std::vector<std::vector<Cell>>& rows, std::size_t width,
                         bool has_colour) {
    Widths widths = natural_widths(columns, rows);
    if (width > 0) fit(columns, widths, width);
    std::vector<Cell> header;
    for (const Column& column : columns) header.push_back({column.title, Style::bold});
    std::string table = render_row(columns, widths, header, has_colour);
    for (const std::vector<Cell>& row : rows) table += render_row(columns, widths, row, has_colour);
    return table;
}

}  // namespace cluster::clusterctl
