#include "ctl/line_writer.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "ctl/field_reader.hpp"

namespace cluster::ctl {

void LineWriter::write(std::string_view text) {
    const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
    // Names and paths, nearly always: nothing to escape, and not one byte that could be no UTF-8.
    if (!std::all_of(text.begin(), text.end(), is_plain)) {
        line_ += dump_line(Json(text));
        return;
    }
    line_ += '"';
    line_ += text;
    line_ += '"';
}

void LineWriter::write(double value) {
    line_ += dump_line(Json(value));
}

}  // namespace cluster::ctl
