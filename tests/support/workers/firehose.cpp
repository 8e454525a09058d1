// firehose BYTES [STOPS [PIPE]]: writes exactly that many bytes to stdout as fast as they are
// taken, in lines of 64 that count up, then exits 0. On its way it suspends itself STOPS times, at
// equal distances, until somebody sends SIGCONT. PIPE: its stdout is a pipe and gets room for so
// many bytes.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
    const unsigned long long total = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
    const unsigned long long stops = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    if (argc > 3 && ::fcntl(1, F_SETPIPE_SZ, std::atoi(argv[3])) < 0) return 112;
    const unsigned long long distance = total / (stops + 1);
    unsigned long long stopped = 0;
    unsigned long long written = 0;
    unsigned long long line = 0;
    std::string block;
    while (written < total) {
        if (block.empty()) {
            char text[65];
            for (int i = 0; i < 1024; ++i) {
                std::snprintf(text, sizeof(text), "%063llu\n", line++);
                block += text;
            }
        }
        const auto room = std::min<unsigned long long>(block.size(), total - written);
        const auto count = ::write(1, block.data(), static_cast<std::size_t>(room));
        if (count < 0) return 111;
        written += static_cast<unsigned long long>(count);
        block.erase(0, static_cast<std::size_t>(count));
        if (stopped < stops && written >= (stopped + 1) * distance) {
            ++stopped;
            std::raise(SIGSTOP);
        }
    }
    return 0;
}
