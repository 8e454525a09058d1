// A segment for a test, and short ways to write keys and values.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

#include "store/census.hpp"
#include "store/counters.hpp"
#include "store/participant.hpp"
#include "store/segment.hpp"
#include "store/table.hpp"

namespace cluster::store::test {

inline Bytes bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

inline SegmentOptions small_options() {
    return {.bytes = u64{12} << 20U, .counters = 64, .participants = 16, .striped = 4};
}

/// A new segment, attached once, with one participant.
struct Place {
    explicit Place(const SegmentOptions& options = small_options())
        : file(*create(options)),
          segment(std::make_unique<Segment>(*Segment::attach(file.get(), Access::read_write))),
          me(*Participant::join(*segment)),
          table(*segment),
          counters(*segment) {}

    std::string get(std::string_view key) {
        std::string buffer(kMaxValueBytes, '\0');
        const auto value =
            table.get(bytes(key), std::as_writable_bytes(std::span{buffer.data(), buffer.size()}));
        if (!value) return "error " + std::to_string(value.error().code);
        buffer.resize(value->size);
        return buffer;
    }
    bool set(std::string_view key, std::string_view value, Duration ttl = {}) {
        return table.set(me, bytes(key), bytes(value), ttl).has_value();
    }

    sys::UniqueFd file;
    std::unique_ptr<Segment> segment;
    Participant me;
    Table table;
    Counters counters;
};

/// The errno of what failed, 0 of what did not.
template <class T>
int code_of(const Result<T>& result) {
    return result ? 0 : result.error().code;
}

}  // namespace cluster::store::test
