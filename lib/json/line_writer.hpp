// JSON written straight into a line, for the lists in answers that are as long as the fleet: a
// document of them is many small blocks of memory for each instance, made and freed again.
//
// Says byte for byte what dump_line says of the same fields (tests/unit/ctl).
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "json/text.hpp"

namespace cluster::json {

class LineWriter {
public:
    explicit LineWriter(std::string& line) : line_(line) {}

    /// One field of the object that is being written. Requires: a name without anything to escape.
    template <class T>
    void operator()(std::string_view name, const T& value) {
        line_ += is_first_ ? "{\"" : ",\"";
        is_first_ = false;
        line_ += name;
        line_ += "\":";
        write(value);
    }
    void end() { line_ += '}'; }

    void write(std::string_view text) { append_quoted(line_, text); }
    void write(const std::string& text) { append_quoted(line_, text); }
    void write(const char* text) { append_quoted(line_, text); }
    void write(bool value) { line_ += value ? "true" : "false"; }
    void write(double value) { append_real(line_, value); }
    template <std::integral T>
    void write(T value) {
        char digits[24];
        const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
        line_.append(digits, end);
    }
    template <class T>
    void write(const std::optional<T>& value) {
        if (value) return write(*value);
        line_ += "null";
    }
    /// An object whose fields are told by visit_fields(value, writer).
    template <class T>
        requires(!std::integral<T>)
    void write(const T& value) {
        LineWriter object(line_);
        visit_fields(value, object);
        object.end();
    }

private:
    std::string& line_;
    bool is_first_ = true;
};

}  // namespace cluster::json
