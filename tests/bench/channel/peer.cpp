// Workers of the channel's benchmark, through libcluster.
//   source TO COUNT BLOCK      sends COUNT messages of 100 bytes, at most two blocks ahead of the reader
//   sink FROM COUNT BLOCK OUT  receives them; writes to OUT how many came and in which time
//   ping TO COUNT OUT          messages there and back; writes the nanoseconds of each to OUT
//   pong TO                    sends each message back
//   listen MARKS INDEX ROUNDS  writes when {"fan":k} came into MARKS[INDEX][k], for the fan-out; knows
//                              only lines, as it is a child of Node's primary too
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "cluster.h"

namespace {

std::int64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

void require(bool is_true, const char* what) {
    if (is_true) return;
    std::perror(what);
    std::exit(1);
}

cluster_channel* open_channel() {
    cluster_channel* channel = nullptr;
    require(cluster_channel_open(0, &channel) == 0, "open");
    return channel;
}

cluster_message receive(cluster_channel* channel) {
    cluster_message message;
    require(cluster_channel_receive(channel, &message, -1) == 1, "receive");
    return message;
}

/// An object of 100 bytes as JSON.
std::string object_of_100() {
    std::string text = "{\"type\":\"updateCounter\",\"increment\":1,\"pad\":\"";
    text.resize(98, 'x');
    return text + "\"}";
}

void source(const char* to, long count, long block) {
    cluster_channel* const channel = open_channel();
    require(cluster_channel_ready(channel) == 0, "ready");
    receive(channel);  // the sink is there
    const std::string data = object_of_100();
    for (long sent = 0, ahead = 0; sent < count; ++sent) {
        const unsigned flags = (sent + 1) % block == 0 ? 0 : CLUSTER_MORE;
        require(cluster_channel_send(channel, to, data.data(), data.size(), flags, nullptr) == 0,
                "send");
        if (flags != 0) continue;
        if (++ahead == 2) --ahead, receive(channel);
    }
    while (true) receive(channel);
}

void sink(const char* from, long count, long block, const char* out) {
    cluster_channel* const channel = open_channel();
    require(cluster_channel_ready(channel) == 0, "ready");
    const auto tell = [&] {
        require(cluster_channel_send(channel, from, "1", 1, 0, nullptr) == 0, "tell");
    };
    receive(channel);  // go
    tell();
    std::int64_t begin = 0;
    long dropped = 0;
    for (long came = 0; came < count;) {
        const cluster_message message = receive(channel);
        if (begin == 0) begin = now_ns();
        if (message.kind == CLUSTER_DROPPED) {
            dropped += static_cast<long>(message.number);
            came += static_cast<long>(message.number);
        } else if (++came % block == 0) {
            tell();
        }
    }
    const std::int64_t taken = now_ns() - begin;
    std::FILE* const file = std::fopen(out, "w");
    std::fprintf(file, "%ld %ld %lld\n", count, dropped, static_cast<long long>(taken));
    std::fclose(file);
    while (true) receive(channel);
}

void ping(const char* to, long count, const char* out) {
    cluster_channel* const channel = open_channel();
    require(cluster_channel_ready(channel) == 0, "ready");
    receive(channel);  // go
    const std::string data = object_of_100();
    std::vector<std::int64_t> times;
    for (long i = 0; i < count; ++i) {
        const std::int64_t begin = now_ns();
        require(cluster_channel_send(channel, to, data.data(), data.size(), 0, nullptr) == 0,
                "ping");
        receive(channel);
        times.push_back(now_ns() - begin);
    }
    std::FILE* const file = std::fopen(out, "w");
    for (const std::int64_t time : times) {
        std::fprintf(file, "%lld\n", static_cast<long long>(time));
    }
    std::fclose(file);
    while (true) receive(channel);
}

void pong(const char* to) {
    cluster_channel* const channel = open_channel();
    require(cluster_channel_ready(channel) == 0, "ready");
    while (true) {
        const cluster_message message = receive(channel);
        require(cluster_channel_send(channel, to, message.data, message.data_size, 0, nullptr) == 0,
                "pong");
    }
}

void listen(const char* marks, long index, long rounds) {
    const int file = ::open(marks, O_RDWR | O_CLOEXEC);
    const auto row = static_cast<std::size_t>(rounds);
    const auto size = static_cast<std::size_t>(index + 1) * row * sizeof(std::int64_t);
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    require(memory != MAP_FAILED, "mmap");
    auto* const times = static_cast<std::int64_t*>(memory) + static_cast<std::size_t>(index) * row;
    const char* number = std::getenv("CLUSTER_CHANNEL_FD");
    if (number == nullptr) number = std::getenv("NODE_CHANNEL_FD");
    require(number != nullptr, "channel");
    const int channel = std::atoi(number);
    constexpr std::string_view kHello =
        "{\"cluster\":\"subscribe\",\"topic\":\"fan\"}\n\"ready\"\n";
    require(::write(channel, kHello.data(), kHello.size()) > 0, "hello");
    std::string text;
    char buffer[4096];
    while (true) {
        const auto came = ::read(channel, buffer, sizeof buffer);
        if (came <= 0) return;
        const std::int64_t now = now_ns();
        text.append(buffer, static_cast<std::size_t>(came));
        for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
            const std::size_t at = text.find("\"fan\":");
            if (at < end) times[std::atol(text.c_str() + at + 6) % rounds] = now;
        }
    }
}

}  // namespace

int main(int count, char** words) {
    const std::string_view mode = count > 1 ? words[1] : "";
    const auto number = [&](int i) { return std::atol(words[i]); };
    if (mode == "source" && count == 5) source(words[2], number(3), number(4));
    if (mode == "sink" && count == 6) sink(words[2], number(3), number(4), words[5]);
    if (mode == "ping" && count == 5) ping(words[2], number(3), words[4]);
    if (mode == "pong" && count == 3) pong(words[2]);
    if (mode == "listen" && count >= 5) {
        // The instance of a worker of clusterd says its index itself.
        const char* const instance = std::getenv("CLUSTER_INSTANCE");
        listen(words[2], instance != nullptr ? std::atol(instance) : number(3), number(4));
        return 0;
    }
    return 2;
}
