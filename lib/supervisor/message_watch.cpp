#include "supervisor/message_watch.hpp"

#include <utility>

#include "sys/clock.hpp"

namespace cluster::supervisor {

void MessageWatch::add(const channel::Observed& message, Instant now) {
    if (!is_watched(now)) return;
    messages_.push_back({.number = ++last_,
                         .at_ms = sys::wall_ms(),
                         .from = std::string{message.from},
                         .topic = std::string{message.topic},
                         .data = std::string{message.data}});
    bytes_ += messages_.back().data.size();
    while (messages_.size() > kMaxMessages || (bytes_ > kMaxBytes && messages_.size() > 1)) {
        bytes_ -= messages_.front().data.size();
        messages_.pop_front();
    }
}

void MessageWatch::on_time(Instant now) {
    if (messages_.empty() || is_watched(now)) return;
    messages_.clear();
    messages_.shrink_to_fit();
    bytes_ = 0;
}

std::optional<channel::OutsideReply> MessageWatch::take_reply(std::uint64_t request) {
    auto found = replies_.extract(request);
    if (found.empty()) return std::nullopt;
    return std::move(found.mapped());
}

}  // namespace cluster::supervisor
