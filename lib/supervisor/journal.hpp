// The event file: what happened to every instance, and who asked for what, one JSON object a line.
// `events.jsonl` in the log directory, with one archive, `events.jsonl.1`. Types and fields:
// EVENTS.md.
//
// Every event has a sequence number that goes on over our successors, so that a reader can resume.
// Events are collected during a turn and written by one call at its end; what one turn may collect
// is bounded, what does not fit or cannot be written is counted and said by the next event that
// can. The file tells people what happened; no state depends on it, and a kill between a turn's
// actions and its end loses that turn's events.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

/// One event in the making: a JSON object whose fields are added in order.
class EventLine {
public:
    explicit EventLine(std::string_view type) { text("type", type); }

    EventLine& text(std::string_view name, std::string_view value);
    EventLine& number(std::string_view name, std::int64_t value);
    EventLine& boolean(std::string_view name, bool value);
    EventLine& texts(std::string_view name, const std::vector<std::string>& values);
    /// A value that is JSON already.
    EventLine& json(std::string_view name, std::string_view value);

    [[nodiscard]] const std::string& fields() const { return fields_; }

private:
    void begin(std::string_view name);
    std::string fields_;
};

class Journal {
public:
    /// A file that has reached it becomes the archive.
    static constexpr std::uint64_t kMaxBytes = std::uint64_t{8} << 20U;
    /// Of one turn: a thousand workers that die at once tell about 3,000 events.
    static constexpr std::size_t kMaxEventsPerTurn = 4096;
    /// Longer events count as lost: a successor must find the last line in what it reads.
    static constexpr std::size_t kMaxLine = std::size_t{48} << 10U;

    /// Goes on with the file of a predecessor: behind its last sequence number, and behind a
    /// newline where a kill left half a line. Until this has worked, events are counted as lost;
    /// it is tried again with each flush.
    void open(std::string path);
    [[nodiscard]] const std::string& path() const { return path_; }

    void add(const EventLine& event);
    /// Writes what was added. `wall_ms`: now, for people.
    void flush(std::int64_t wall_ms);

private:
    [[nodiscard]] Status open_file();
    [[nodiscard]] Status write(const std::string& lines);
    void rotate();

    std::string path_;
    sys::UniqueFd file_;
    std::uint64_t size_ = 0;
    std::uint64_t last_sequence_ = 0;
    std::vector<std::string> pending_;
    std::uint64_t lost_ = 0;  // not told yet
};

[[nodiscard]] inline std::string events_file(const std::string& log_dir) {
    return log_dir + "/events.jsonl";
}

/// The number in a line that this class wrote; none for any other line.
[[nodiscard]] std::optional<std::uint64_t> event_sequence(std::string_view line);

}  // namespace cluster::supervisor
