// talker: says over its channel what its arguments say, one after the other, through libcluster
// alone; prints each message that comes, and then what "serve" prints, or waits.
//   ready                       subscribe TOPIC      unsubscribe TOPIC
//   send TO JSON                publish TOPIC JSON   post JSON
//   request TO JSON             receive              waits for one message that is no reply
//   close                       closes the channel and opens it again
//   serve                       answers requests in capitals, and refuses what is no text
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cluster.h"

namespace {

[[noreturn]] void give_up(const char* what, int code) {
    std::printf("%s: %s\n", what, cluster_error_text(code));
    std::fflush(stdout);
    std::exit(1);
}

void require(const char* what, int code) {
    if (code < 0) give_up(what, code);
}

cluster_channel* open_channel() {
    cluster_channel* channel = nullptr;
    require("open", cluster_channel_open(0, &channel));
    return channel;
}

const char* or_none(const char* text) {
    return text == nullptr ? "-" : text;
}

void print(const cluster_message& message) {
    constexpr const char* kKinds[] = {"?",       "message",  "request",    "reply",
                                      "dropped", "stopping", "application"};
    std::printf("%s from %s topic %s data %s error %s number %lld\n", kKinds[message.kind],
                or_none(message.from), or_none(message.topic), or_none(message.data),
                or_none(message.error), static_cast<long long>(message.number));
    std::fflush(stdout);
}

/// The reply to that call, or the first message that is none.
void print_next(cluster_channel* channel, std::uint64_t reply_to) {
    cluster_message message;
    while (true) {
        require("receive", cluster_channel_receive(channel, &message, 20'000));
        const bool is_reply = message.kind == CLUSTER_REPLY;
        if (is_reply && message.id != reply_to) continue;
        if (!is_reply && reply_to != 0) continue;
        return print(message);
    }
}

void answer(cluster_channel* channel, const cluster_message& message) {
    std::string text(message.data_size, '\0');
    const auto size =
        cluster_json_text(message.data, message.data_size, text.data(), text.size());
    if (size < 0) {
        require("refuse", cluster_channel_refuse(channel, message.id, "no text", 0));
        return;
    }
    text.resize(static_cast<std::size_t>(size));
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    require("reply", cluster_channel_reply(channel, message.id, text.data(), text.size(),
                                           CLUSTER_TEXT));
}

void serve(cluster_channel* channel) {
    cluster_message message;
    while (true) {
        const int code = cluster_channel_receive(channel, &message, -1);
        if (code < 0) give_up("serve", code);
        if (message.kind == CLUSTER_REQUEST) answer(channel, message);
        print(message);
    }
}

}  // namespace

int main(int /*count*/, char** words) {
    cluster_channel* channel = open_channel();
    while (const char* const word = *++words) {
        std::uint64_t id = 0;
        const auto is = [word](const char* name) { return std::strcmp(word, name) == 0; };
        if (is("ready")) require(word, cluster_channel_ready(channel));
        if (is("subscribe")) require(word, cluster_channel_subscribe(channel, *++words, 0, &id));
        if (is("unsubscribe")) {
            require(word, cluster_channel_unsubscribe(channel, *++words, 0, &id));
        }
        if (is("send") || is("publish") || is("request")) {
            const char* const to = *++words;
            const char* const data = *++words;
            const std::size_t size = std::strlen(data);
            if (is("send")) require(word, cluster_channel_send(channel, to, data, size, 0, &id));
            if (is("publish")) {
                require(word, cluster_channel_publish(channel, to, data, size, 0, &id));
            }
            if (is("request")) {
                require(word, cluster_channel_request(channel, to, data, size, 5000, 0, &id));
            }
        }
        if (is("post")) {
            ++words;
            require(word, cluster_channel_post(channel, *words, std::strlen(*words), 0));
        }
        if (is("close")) {
            cluster_channel_close(channel);
            channel = open_channel();
        }
        if (is("serve")) serve(channel);
        if (id != 0 || is("receive")) print_next(channel, id);
    }
    ::pause();
}
