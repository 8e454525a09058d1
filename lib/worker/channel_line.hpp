// One line towards the daemon, as the pieces that it is made of: nothing is copied before the
// stream takes it, and nothing is allocated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace cluster::worker {

class Line {
public:
    struct Piece {
        enum class Kind : std::uint8_t {
            plain,  // as it is
            text,   // as a JSON string
            json,   // as it is on one line: a newline between its words becomes a space
        };
        Kind kind = Kind::plain;
        std::string_view bytes;
    };

    /// `{"cluster":"<command>"`. The command and all names of members are words of CHANNEL.md.
    explicit Line(std::string_view command);
    /// A line that is somebody else's message.
    struct AsItIs {};
    explicit Line(AsItIs) {}
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    void add_text(std::string_view name, std::string_view value);
    void add_json(std::string_view name, std::string_view value);
    void add_number(std::string_view name, std::uint64_t value);
    void add_true(std::string_view name);
    /// The whole of a line that is as it is.
    void set(Piece::Kind kind, std::string_view bytes) { add({kind, bytes}); }
    void finish();

    /// Bytes of the line with its newline. Errors: {message, EILSEQ} what should be JSON is none, or
    /// a text is no UTF-8.
    [[nodiscard]] Result<std::size_t> size() const;

    [[nodiscard]] const Piece* begin() const { return pieces_.data(); }
    [[nodiscard]] const Piece* end() const { return pieces_.data() + count_; }

private:
    static constexpr std::size_t kMaxPieces = 24;

    void add(const Piece& piece);
    void add_name(std::string_view name);

    std::array<Piece, kMaxPieces> pieces_;
    std::size_t count_ = 0;
    bool has_command_ = false;
    std::array<std::array<char, 20>, 2> digits_{};  // of numbers, one after the other
    std::size_t numbers_ = 0;
};

/// How the next character of a text stands in a JSON string.
struct Written {
    std::size_t read = 0;   // bytes of the text
    std::size_t bytes = 0;  // of what is written; 0: the text is no UTF-8 here
    std::array<char, 6> escape{};
    bool is_plain = true;  // as it stands in the text
};
/// Takes as many plain characters as come. Requires: a text that is not empty.
[[nodiscard]] Written written_next(std::string_view text);

}  // namespace cluster::worker
