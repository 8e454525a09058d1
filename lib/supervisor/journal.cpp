#include "supervisor/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <span>
#include <utility>

#include "json/text.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

constexpr std::string_view kSequenceHead = "{\"seq\":";
/// The last line is looked for in so many bytes.
constexpr std::size_t kTailBytes = Journal::kMaxLine + 4096;
constexpr std::uint32_t kMode = 0640;

/// The highest sequence number among the lines of a file's end; 0: none.
std::uint64_t last_sequence_in(std::string_view tail) {
    while (!tail.empty()) {
        const std::size_t end = tail.rfind('\n');
        const std::string_view line = end == std::string_view::npos ? tail : tail.substr(end + 1);
        if (const auto sequence = event_sequence(line)) return *sequence;
        if (end == std::string_view::npos) return 0;
        tail = tail.substr(0, end);
    }
    return 0;
}

struct Tail {
    std::string text;
    std::uint64_t size = 0;
};

Result<Tail> read_tail(int file) {
    const auto size = sys::file_size(file);
    if (!size) return tl::unexpected(size.error());
    Tail tail;
    tail.size = *size;
    tail.text.resize(static_cast<std::size_t>(std::min<std::uint64_t>(*size, kTailBytes)));
    const auto count =
        sys::read_at(file, std::as_writable_bytes(std::span{tail.text}), *size - tail.text.size());
    if (!count) return tl::unexpected(count.error());
    tail.text.resize(*count);
    return tail;
}

std::uint64_t last_sequence_of(const std::string& path) {
    const auto file = sys::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return 0;
    const auto tail = read_tail(file->get());
    return tail ? last_sequence_in(tail->text) : 0;
}

}  // namespace

std::optional<std::uint64_t> event_sequence(std::string_view line) {
    if (line.substr(0, kSequenceHead.size()) != kSequenceHead || line.back() != '}') {
        return std::nullopt;
    }
    line.remove_prefix(kSequenceHead.size());
    std::uint64_t sequence = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), sequence);
    if (error != std::errc{} || *end != ',') return std::nullopt;
    return sequence;
}

// --- EventLine ---

void EventLine::begin(std::string_view name) {
    fields_ += ',';
    json::append_quoted(fields_, name);
    fields_ += ':';
}

EventLine& EventLine::text(std::string_view name, std::string_view value) {
    begin(name);
    json::append_quoted(fields_, value);
    return *this;
}

EventLine& EventLine::number(std::string_view name, std::int64_t value) {
    return json(name, std::to_string(value));
}

EventLine& EventLine::boolean(std::string_view name, bool value) {
    return json(name, value ? "true" : "false");
}

EventLine& EventLine::texts(std::string_view name, const std::vector<std::string>& values) {
    begin(name);
    fields_ += '[';
    const char* separator = "";
    for (const std::string& value : values) {
        fields_ += std::exchange(separator, ",");
        json::append_quoted(fields_, value);
    }
    fields_ += ']';
    return *this;
}

EventLine& EventLine::json(std::string_view name, std::string_view value) {
    begin(name);
    fields_ += value;
    return *this;
}

// --- Journal ---

void Journal::open(std::string path) {
    path_ = std::move(path);
    // The archive counts too: a kill may come right after a rotation.
    last_sequence_ = std::max(last_sequence_of(path_), last_sequence_of(path_ + ".1"));
    (void)open_file();
}

Status Journal::open_file() {
    auto file = sys::open_file(path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, kMode);
    if (!file) return tl::unexpected(file.error());
    const auto tail = read_tail(file->get());
    if (!tail) return tl::unexpected(tail.error());
    file_ = std::move(*file);
    size_ = tail->size;
    const bool is_torn = !tail->text.empty() && tail->text.back() != '\n';
    return is_torn ? write("\n") : Status{};
}

void Journal::add(const EventLine& event) {
    if (path_.empty()) return;
    if (pending_.size() >= kMaxEventsPerTurn || event.fields().size() > kMaxLine) {
        ++lost_;
    } else {
        pending_.push_back(event.fields());
    }
}

void Journal::flush(std::int64_t wall_ms) {
    if (pending_.empty()) return;
    if (size_ >= kMaxBytes) rotate();
    if (!file_.is_open() && !open_file()) {
        lost_ += std::exchange(pending_, {}).size();
        return;
    }
    std::string lines;
    const std::string lost = lost_ > 0 ? fmt::format(",\"lost\":{}", lost_) : "";
    for (const std::string& fields : pending_) {
        const bool is_first = lines.empty();
        lines += fmt::format("{}{},\"at_ms\":{}{}{}}}\n", kSequenceHead, ++last_sequence_, wall_ms,
                             fields, is_first ? lost : "");
    }
    if (write(lines)) {
        lost_ = 0;
    } else {
        // Some of them may be there, so their numbers are used up.
        lost_ += pending_.size();
        file_.reset();
    }
    pending_.clear();
}

Status Journal::write(const std::string& lines) {
    const Status written = sys::write_all(file_.get(), lines);
    if (written) size_ += lines.size();
    return written;
}

void Journal::rotate() {
    file_.reset();
    if (!sys::rename_file(path_, path_ + ".1")) return;
    size_ = 0;
}

}  // namespace cluster::supervisor
