// The message channel in C.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

#include "channel/json.hpp"
#include "sys/clock.hpp"
#include "sys/stream.hpp"
#include "worker/channel_message.hpp"
#include "worker/channel_stream.hpp"
#include "worker/discovery.hpp"
#include "worker/handles.hpp"

namespace worker = cluster::worker;

using cluster::Duration;
using cluster::Instant;
using cluster::Status;
using cluster::sys::Receive;
using worker::ChannelStream;
using worker::Line;

struct cluster_channel {
    explicit cluster_channel(cluster::sys::UniqueFd socket) : stream(std::move(socket)) {}

    ChannelStream stream;
    std::uint64_t last_id = 0;
};

namespace {

/// As CHANNEL.md has them.
constexpr std::size_t kMaxSelector = 256;
constexpr std::size_t kMaxTopic = 126;
constexpr std::size_t kMaxErrorText = 512;
constexpr std::int64_t kMaxTimeoutMs = std::int64_t{24} * 3600 * 1000;

constexpr unsigned kDelivery = CLUSTER_MORE | CLUSTER_NOWAIT;

/// There is one channel in a process, and the number that the environment names means it only once.
enum class Use : std::uint8_t { never, open, over };
std::atomic<Use> use{Use::never};

int code_of(const Status& status) {
    return status ? 0 : worker::code_of(status.error());
}

/// A receiver or a topic.
int check_name(const char* name, std::size_t max) {
    if (name == nullptr || *name == '\0') return -EINVAL;
    return ::strnlen(name, max + 1) > max ? -ENAMETOOLONG : 0;
}

struct Data {
    const char* bytes;
    std::size_t size;

    [[nodiscard]] std::string_view view() const { return {bytes == nullptr ? "" : bytes, size}; }
};

void add_data(Line& line, const Data& data, unsigned flags) {
    if ((flags & CLUSTER_TEXT) != 0) {
        line.add_text("data", data.view());
    } else {
        line.add_json("data", data.view());
    }
    if ((flags & CLUSTER_RAW) != 0) line.add_true("raw");
}

int check(const cluster_channel* channel, unsigned flags, unsigned allowed) {
    return channel == nullptr || (flags & ~allowed) != 0 ? -EINVAL : 0;
}

int check_data(const Data& data) {
    return data.bytes == nullptr && data.size != 0 ? -EINVAL : 0;
}

int write(cluster_channel& channel, Line& line, unsigned flags) {
    line.finish();
    return code_of(channel.stream.write(line,
                                        (flags & CLUSTER_NOWAIT) != 0
                                            ? ChannelStream::Wait::never
                                            : ChannelStream::Wait::until_taken,
                                        (flags & CLUSTER_MORE) != 0 ? ChannelStream::Then::keep
                                                                    : ChannelStream::Then::send));
}

/// A line with an id, if somebody wants the answer to it.
int write_with_id(cluster_channel& channel, Line& line, unsigned flags, std::uint64_t* id) {
    const std::uint64_t next = channel.last_id + 1;
    if (id != nullptr) line.add_number("id", next);
    const int code = write(channel, line, flags);
    if (code == 0 && id != nullptr) *id = channel.last_id = next;
    return code;
}

int change_subscription(cluster_channel* channel, std::string_view command, const char* topic,
                        unsigned flags, std::uint64_t* id) {
    if (const int code = check(channel, flags, kDelivery); code != 0) return code;
    if (const int code = check_name(topic, kMaxTopic); code != 0) return code;
    Line line{command};
    line.add_text("topic", topic);
    return write_with_id(*channel, line, flags, id);
}

struct Deadline {
    explicit Deadline(int timeout_ms) {
        if (timeout_ms > 0) {
            at = cluster::sys::monotonic_now() + std::chrono::milliseconds{timeout_ms};
        }
        is_now = timeout_ms == 0;
    }
    std::optional<Instant> at;  // none: for ever, or now
    bool is_now;

    [[nodiscard]] bool is_for_ever() const { return !is_now && !at; }
    [[nodiscard]] std::optional<Duration> left() const {
        if (is_now) return Duration{0};
        if (!at) return std::nullopt;
        return *at - cluster::sys::monotonic_now();
    }
};

/// Waits for room for what is kept, and for something to read where that is wanted. 1, 0 when the
/// time is over, or an error.
int wait(const cluster_channel& channel, bool readable, const Deadline& deadline) {
    const auto ready = cluster::sys::wait_stream(
        channel.stream.descriptor(),
        {.readable = readable, .writable = channel.stream.has_kept(), .patience = deadline.left()});
    if (!ready) return worker::code_of(ready.error());
    return *ready ? 1 : 0;
}

}  // namespace

extern "C" {

int cluster_channel_open(unsigned flags, cluster_channel** channel) {
    if (channel == nullptr || flags != 0) return -EINVAL;
    const Use before = use.exchange(Use::open, std::memory_order_acq_rel);
    if (before == Use::open) return -EBUSY;
    const auto give_up = [before](int code) {
        use.store(before, std::memory_order_release);
        return code;
    };
    auto socket = worker::find_channel(before == Use::never);
    if (!socket) return give_up(worker::code_of(socket.error()));
    auto* opened = new (std::nothrow) cluster_channel{std::move(*socket)};
    if (opened == nullptr || !opened->stream.take_memory()) {
        delete opened;
        use.store(Use::over, std::memory_order_release);
        return -ENOMEM;
    }
    *channel = opened;
    return 0;
}

void cluster_channel_close(cluster_channel* channel) {
    if (channel == nullptr) return;
    delete channel;
    use.store(Use::over, std::memory_order_release);
}

int cluster_channel_fd(const cluster_channel* channel) {
    return channel == nullptr ? -EINVAL : channel->stream.descriptor();
}

int cluster_channel_send(cluster_channel* channel, const char* to, const char* data, size_t size,
                         unsigned flags, uint64_t* id) {
    constexpr unsigned kAllowed = kDelivery | CLUSTER_RAW | CLUSTER_TEXT;
    if (const int code = check(channel, flags, kAllowed); code != 0) return code;
    if (const int code = check_name(to, kMaxSelector); code != 0) return code;
    if (const int code = check_data({data, size}); code != 0) return code;
    Line line{"send"};
    line.add_text("to", to);
    add_data(line, {data, size}, flags);
    return write_with_id(*channel, line, flags, id);
}

int cluster_channel_publish(cluster_channel* channel, const char* topic, const char* data,
                            size_t size, unsigned flags, uint64_t* id) {
    constexpr unsigned kAllowed = kDelivery | CLUSTER_RAW | CLUSTER_TEXT;
    if (const int code = check(channel, flags, kAllowed); code != 0) return code;
    if (const int code = check_name(topic, kMaxTopic); code != 0) return code;
    if (const int code = check_data({data, size}); code != 0) return code;
    Line line{"publish"};
    line.add_text("topic", topic);
    add_data(line, {data, size}, flags);
    return write_with_id(*channel, line, flags, id);
}

int cluster_channel_subscribe(cluster_channel* channel, const char* topic, unsigned flags,
                              uint64_t* id) {
    return change_subscription(channel, "subscribe", topic, flags, id);
}

int cluster_channel_unsubscribe(cluster_channel* channel, const char* topic, unsigned flags,
                                uint64_t* id) {
    return change_subscription(channel, "unsubscribe", topic, flags, id);
}

int cluster_channel_request(cluster_channel* channel, const char* to, const char* data, size_t size,
                            int64_t timeout_ms, unsigned flags, uint64_t* id) {
    if (const int code = check(channel, flags, kDelivery | CLUSTER_TEXT); code != 0) return code;
    if (id == nullptr || timeout_ms < 0 || timeout_ms > kMaxTimeoutMs) return -EINVAL;
    if (const int code = check_name(to, kMaxSelector); code != 0) return code;
    if (const int code = check_data({data, size}); code != 0) return code;
    Line line{"request"};
    line.add_text("to", to);
    add_data(line, {data, size}, flags);
    if (timeout_ms > 0) line.add_number("timeout_ms", static_cast<std::uint64_t>(timeout_ms));
    return write_with_id(*channel, line, flags, id);
}

int cluster_channel_reply(cluster_channel* channel, uint64_t request, const char* data, size_t size,
                          unsigned flags) {
    if (const int code = check(channel, flags, kDelivery | CLUSTER_TEXT); code != 0) return code;
    if (const int code = check_data({data, size}); code != 0) return code;
    Line line{"reply"};
    line.add_number("id", request);
    add_data(line, {data, size}, flags);
    return write(*channel, line, flags);
}

int cluster_channel_refuse(cluster_channel* channel, uint64_t request, const char* text,
                           unsigned flags) {
    if (const int code = check(channel, flags, kDelivery); code != 0) return code;
    if (const int code = check_name(text, kMaxErrorText); code != 0) return code;
    Line line{"reply"};
    line.add_number("id", request);
    line.add_text("error", text);
    return write(*channel, line, flags);
}

int cluster_channel_post(cluster_channel* channel, const char* data, size_t size, unsigned flags) {
    if (const int code = check(channel, flags, kDelivery | CLUSTER_TEXT); code != 0) return code;
    if (const int code = check_data({data, size}); code != 0) return code;
    Line line{Line::AsItIs{}};
    const bool is_text = (flags & CLUSTER_TEXT) != 0;
    line.set(is_text ? Line::Piece::Kind::text : Line::Piece::Kind::json, Data{data, size}.view());
    return write(*channel, line, flags);
}

int cluster_channel_ready(cluster_channel* channel) {
    if (channel == nullptr) return -EINVAL;
    Line line{"ready"};
    return write(*channel, line, 0);
}

int cluster_channel_status(cluster_channel* channel, const char* text) {
    if (channel == nullptr || text == nullptr) return -EINVAL;
    Line line{"status"};
    line.add_text("text", text);
    return write(*channel, line, 0);
}

int cluster_channel_heartbeat(cluster_channel* channel) {
    if (channel == nullptr) return -EINVAL;
    Line line{"heartbeat"};
    return write(*channel, line, 0);
}

int cluster_channel_flush(cluster_channel* channel, int timeout_ms) {
    if (channel == nullptr) return -EINVAL;
    const Deadline deadline{timeout_ms};
    while (true) {
        const Status flushed = channel->stream.flush(ChannelStream::Wait::never);
        if (flushed || flushed.error().code != EAGAIN) return code_of(flushed);
        const int ready = wait(*channel, false, deadline);
        if (ready <= 0) return ready == 0 ? -EAGAIN : ready;
    }
}

int cluster_channel_receive(cluster_channel* channel, cluster_message* message, int timeout_ms) {
    if (channel == nullptr || message == nullptr) return -EINVAL;
    ChannelStream& stream = channel->stream;
    const Deadline deadline{timeout_ms};
    while (true) {
        if (const auto line = stream.next_line()) {
            const auto received = worker::read_message(*line);
            if (!received) return worker::code_of(received.error());
            *message = *received;
            return 1;
        }
        // That the channel is closed is said when all that came before was read.
        static_cast<void>(stream.flush(ChannelStream::Wait::never));
        // One call instead of two where there is nothing else to be waited for.
        const bool waits = deadline.is_for_ever() && !stream.has_kept();
        if (!waits && !deadline.is_now) {
            if (const int ready = wait(*channel, true, deadline); ready <= 0) return ready;
        }
        const Status filled = stream.fill(waits ? Receive::waiting : Receive::now);
        if (filled) continue;
        const int code = filled.error().code;
        if (code != EAGAIN) return -code;
        if (deadline.is_now) return 0;
        // The program has taken the descriptor out of blocking mode.
        if (waits) {
            if (const int ready = wait(*channel, true, deadline); ready <= 0) return ready;
        }
    }
}

int64_t cluster_json_text(const char* json, size_t size, char* text, size_t capacity) {
    if (json == nullptr || (text == nullptr && capacity != 0)) return -EINVAL;
    const std::string_view value{json, size};
    const bool is_string = size >= 2 && value.front() == '"' && value.back() == '"';
    if (!is_string || !cluster::channel::is_json(value)) return -EMEDIUMTYPE;
    if (capacity < size) return -ERANGE;
    return static_cast<int64_t>(
        cluster::channel::decode_string({cluster::channel::JsonType::string, value}, text));
}

}  // extern "C"
