#include "supervisor/message_requests.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "channel/envelope.hpp"
#include "core/selector.hpp"

namespace cluster::supervisor {
namespace {

/// One answer stays below what a client reads of a line.
constexpr std::size_t kMaxAnswerBytes = std::size_t{256} << 10U;

bool is_json(const std::string& text) {
    channel::Json json;
    return json.parse(text);
}

std::optional<std::string> text_or_none(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional{text};
}

}  // namespace

bool MessageRequests::handle(const ClientRequest& request, Instant now) {
    if (const auto* wanted = std::get_if<ctl::request::Send>(&request.request.method)) {
        send(request, *wanted, now);
    } else if (const auto* publication =
                   std::get_if<ctl::request::Publish>(&request.request.method)) {
        publish(request, *publication);
    } else if (const auto* follow = std::get_if<ctl::request::Follow>(&request.request.method)) {
        channels_.watch().touch(now);
        following_.push_back({request.client, request.request.id, *follow,
                              now + std::chrono::milliseconds{follow->wait_ms}});
    } else {
        return false;
    }
    return true;
}

void MessageRequests::refuse(const ClientRequest& request, std::string message) {
    clients_.answer(request.client,
                    ctl::render_error(request.request.id, {.code = ctl::ErrorCode::invalid_params,
                                                           .message = std::move(message),
                                                           .diagnostics = {}}));
}

void MessageRequests::send(const ClientRequest& request, const ctl::request::Send& send,
                           Instant now) {
    if (!is_json(send.message)) return refuse(request, "message: it is not one value of JSON");
    if (send.wait_ms) {
        const Duration timeout = std::chrono::milliseconds{*send.wait_ms};
        const std::uint64_t number =
            channels_.router().request(send.to, send.message, timeout, now);
        asking_.push_back({request.client, request.request.id, number});
        return;
    }
    const auto count = channels_.router().send(send.to, send.message);
    if (!count) {
        return refuse(request,
                      "message: objects with \"cluster\" or with a \"cmd\" of NODE_ are not an "
                      "application's");
    }
    clients_.answer(
        request.client,
        ctl::render_answer(request.request.id,
                           ctl::SendAnswer{.delivered = static_cast<std::uint32_t>(*count),
                                           .from = {},
                                           .reply = {},
                                           .error = {}}));
}

void MessageRequests::publish(const ClientRequest& request, const ctl::request::Publish& publish) {
    if (!is_json(publish.message)) return refuse(request, "message: it is not one value of JSON");
    if (!channel::is_valid_topic(publish.topic) || channel::is_reserved_topic(publish.topic)) {
        return refuse(request, "topic: expected 1 to 126 bytes, not of \"cluster.\"");
    }
    const std::size_t count = channels_.router().publish(publish.topic, publish.message);
    clients_.answer(
        request.client,
        ctl::render_answer(request.request.id,
                           ctl::SendAnswer{.delivered = static_cast<std::uint32_t>(count),
                                           .from = {},
                                           .reply = {},
                                           .error = {}}));
}

/// True: it has its answer.
bool MessageRequests::answer(const Asking& asking) {
    const auto reply = channels_.watch().take_reply(asking.request);
    if (!reply) return false;
    ctl::SendAnswer answer;
    answer.delivered = reply->error == "nobody there" ? 0 : 1;
    answer.from = text_or_none(reply->from);
    if (reply->error.empty()) {
        answer.reply = reply->data;
    } else {
        answer.error = reply->error;
    }
    clients_.answer(asking.client, ctl::render_answer(asking.id, answer));
    return true;
}

bool MessageRequests::answer(Following& following, Instant now) {
    const MessageWatch& watch = channels_.watch();
    ctl::FollowAnswer answer;
    answer.last = watch.last();
    // A number of another supervisor's counting says nothing here.
    const std::uint64_t after =
        std::min(following.request.after.value_or(watch.last()), watch.last());
    if (!following.request.after) {
        clients_.answer(following.client, ctl::render_answer(following.id, answer));
        return true;
    }
    const auto& messages = watch.messages();
    const std::uint64_t oldest = messages.empty() ? watch.last() + 1 : messages.front().number;
    answer.missed = oldest > after + 1 ? oldest - after - 1 : 0;
    std::size_t bytes = 0;
    for (const MessageWatch::Seen& seen : messages) {
        if (seen.number <= after) continue;
        if (bytes > kMaxAnswerBytes) break;
        answer.last = seen.number;
        const std::string& topic = following.request.topic;
        if (!topic.empty() && (seen.topic.empty() || !core::matches_glob(topic, seen.topic))) {
            continue;
        }
        bytes += seen.data.size();
        answer.messages.push_back({.at_ms = seen.at_ms,
                                   .from = text_or_none(seen.from),
                                   .topic = text_or_none(seen.topic),
                                   .message = seen.data});
    }
    following.request.after = answer.last;
    if (answer.messages.empty() && answer.missed == 0 && now < following.until) return false;
    channels_.watch().touch(now);
    clients_.answer(following.client, ctl::render_answer(following.id, answer));
    return true;
}

void MessageRequests::send_answers(Instant now) {
    asking_.erase(std::remove_if(asking_.begin(), asking_.end(),
                                 [this](const Asking& asking) { return answer(asking); }),
                  asking_.end());
    following_.erase(std::remove_if(following_.begin(), following_.end(),
                                    [&](Following& following) { return answer(following, now); }),
                     following_.end());
}

std::optional<Instant> MessageRequests::next_deadline() const {
    std::optional<Instant> next;
    for (const Following& following : following_) next = earliest(next, following.until);
    return next;
}

}  // namespace cluster::supervisor
