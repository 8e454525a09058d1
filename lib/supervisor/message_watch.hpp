// Messages as those outside see them: what `clusterctl messages -f` follows, and the replies that
// `clusterctl send --wait` waits for.
//
// Messages are kept only while somebody asks for them, a bounded number of them and of bytes; who
// is too slow is told how many he has missed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "channel/router.hpp"

namespace cluster::supervisor {

class MessageWatch {
public:
    /// Nobody has asked for so long: nothing more is kept.
    static constexpr Duration kPatience = std::chrono::seconds{90};
    static constexpr std::size_t kMaxMessages = 4096;
    static constexpr std::size_t kMaxBytes = std::size_t{8} << 20U;

    struct Seen {
        std::uint64_t number = 0;  // counts from 1
        std::int64_t at_ms = 0;    // since 1970
        std::string from;
        std::string topic;
        std::string data;
    };

    [[nodiscard]] bool is_watched(Instant now) const {
        return watched_until_ && now < *watched_until_;
    }
    void add(const channel::Observed& message, Instant now);
    /// Somebody follows.
    void touch(Instant now) { watched_until_ = now + kPatience; }
    /// Forgets what nobody asks for any more.
    void on_time(Instant now);
    [[nodiscard]] const std::deque<Seen>& messages() const { return messages_; }
    /// Number of the newest message.
    [[nodiscard]] std::uint64_t last() const { return last_; }

    void answer(channel::OutsideReply reply) {
        const std::uint64_t request = reply.request;
        replies_[request] = std::move(reply);
    }
    [[nodiscard]] std::optional<channel::OutsideReply> take_reply(std::uint64_t request);

private:
    std::optional<Instant> watched_until_;
    std::deque<Seen> messages_;
    std::size_t bytes_ = 0;
    std::uint64_t last_ = 0;
    std::map<std::uint64_t, channel::OutsideReply> replies_;
};

}  // namespace cluster::supervisor
