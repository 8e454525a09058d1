#include "worker/channel_line.hpp"

#include <cerrno>
#include <charconv>

#include "base/assert.hpp"
#include "channel/json.hpp"

namespace cluster::worker {
namespace {

bool is_plain(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

}  // namespace

Written written_next(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    Written next;
    std::size_t plain = 0;
    while (plain < text.size() && is_plain(text[plain])) ++plain;
    if (plain > 0) {
        next.read = next.bytes = plain;
        return next;
    }
    const auto c = static_cast<unsigned char>(text.front());
    if (c >= 0x80) {
        next.read = next.bytes = channel::utf8_length(text);
        return next;
    }
    next.is_plain = false;
    next.read = 1;
    if (c == '"' || c == '\\') {
        next.bytes = 2;
        next.escape = {'\\', text.front()};
    } else {
        next.bytes = 6;
        next.escape = {'\\', 'u', '0', '0', kHex[c >> 4U], kHex[c & 0xFU]};
    }
    return next;
}

Line::Line(std::string_view command) : has_command_(true) {
    add({Piece::Kind::plain, "{\"cluster\":\""});
    add({Piece::Kind::plain, command});
    add({Piece::Kind::plain, "\""});
}

void Line::add(const Piece& piece) {
    CLUSTER_ASSERT(count_ < kMaxPieces);
    pieces_[count_++] = piece;
}

void Line::add_name(std::string_view name) {
    add({Piece::Kind::plain, ",\""});
    add({Piece::Kind::plain, name});
    add({Piece::Kind::plain, "\":"});
}

void Line::add_text(std::string_view name, std::string_view value) {
    add_name(name);
    add({Piece::Kind::text, value});
}

void Line::add_json(std::string_view name, std::string_view value) {
    add_name(name);
    add({Piece::Kind::json, value});
}

void Line::add_number(std::string_view name, std::uint64_t value) {
    CLUSTER_ASSERT(numbers_ < digits_.size());
    auto& digits = digits_[numbers_++];
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    add_name(name);
    add({Piece::Kind::plain, {digits.data(), static_cast<std::size_t>(end - digits.data())}});
}

void Line::add_true(std::string_view name) {
    add_name(name);
    add({Piece::Kind::plain, "true"});
}

void Line::finish() {
    add({Piece::Kind::plain, has_command_ ? "}\n" : "\n"});
}

Result<std::size_t> Line::size() const {
    std::size_t size = 0;
    for (const Piece& piece : *this) {
        if (piece.kind == Piece::Kind::json && !channel::is_json(piece.bytes)) {
            return fail(Op::message, EILSEQ);
        }
        if (piece.kind != Piece::Kind::text) {
            size += piece.bytes.size();
            continue;
        }
        size += 2;
        for (std::string_view rest = piece.bytes; !rest.empty();) {
            const Written next = written_next(rest);
            if (next.bytes == 0) return fail(Op::message, EILSEQ);
            size += next.bytes;
            rest.remove_prefix(next.read);
        }
    }
    return size;
}

}  // namespace cluster::worker
