// bench_channel_parsers: nanoseconds to find out what a line of a worker is, by three readers: ours
// (lib/channel/json.hpp), nlohmann's tree and, where it is installed, simdjson on demand. All of them
// check the whole line and find the members that the router asks for.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "channel/envelope.hpp"

#ifdef HAS_SIMDJSON
#include <simdjson.h>
#endif

namespace {

constexpr int kRounds = 15;

double cpu_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

struct Reader {
    const char* name;
    std::function<std::size_t(const std::string& line)> read;  // of something that depends on all
};

/// The median of the rounds, the readers taking turns.
void measure(const char* what, const std::string& line, const std::vector<Reader>& readers) {
    const int count = std::max(200, static_cast<int>(2'000'000 / line.size()));
    std::vector<std::vector<double>> times(readers.size());
    std::size_t sum = 0;
    for (int round = 0; round < kRounds; ++round) {
        for (std::size_t i = 0; i < readers.size(); ++i) {
            const double begin = cpu_ns();
            for (int n = 0; n < count; ++n) sum += readers[i].read(line);
            times[i].push_back((cpu_ns() - begin) / count);
        }
    }
    if (sum == 0) std::puts("nothing was read");
    std::printf("%-34s %6zu B", what, line.size());
    double ours = 0;
    for (std::size_t i = 0; i < readers.size(); ++i) {
        std::nth_element(times[i].begin(), times[i].begin() + kRounds / 2, times[i].end());
        const double median = times[i][kRounds / 2];
        if (i == 0) ours = median;
        std::printf("  %s %8.0f ns (%.2f x)", readers[i].name, median, median / ours);
    }
    std::puts("");
}

std::vector<Reader> all_readers() {
    std::vector<Reader> readers;
    readers.push_back({"ours", [json = cluster::channel::Json{}](const std::string& line) mutable {
                           return cluster::channel::parse_line(json, line)->index() +
                                  json.root().text.size();
                       }});
    readers.push_back({"nlohmann", [](const std::string& line) {
                           const auto json = nlohmann::json::parse(line);
                           return json.size() + json.count("cluster") + json.count("cmd");
                       }});
#ifdef HAS_SIMDJSON
    readers.push_back(
        {"simdjson", [parser = std::make_shared<simdjson::dom::parser>()](const std::string& line) {
             const simdjson::dom::object json = parser->parse(line);
             return json.size() + (json["cluster"].error() == simdjson::SUCCESS ? 1U : 0U) +
                    (json["cmd"].error() == simdjson::SUCCESS ? 1U : 0U);
         }});
#endif
    return readers;
}

}  // namespace

int main() {
    std::string object = "{\"type\":\"updateCounter\",\"increment\":1,\"pad\":\"";
    object.resize(98, 'x');
    object += "\"}";
    std::string numbers = "{\"type\":\"samples\",\"values\":[";
    for (int i = 0; i < 1000; ++i) numbers += std::to_string(i * 37) + ".25,";
    numbers += "0]}";
    const std::vector<Reader> readers = all_readers();
    measure("an object of an application", object, readers);
    measure("a command without data",
            "{\"cluster\":\"counter\",\"key\":\"hits\",\"by\":1,\"id\":7}", readers);
    measure("a message to another worker",
            "{\"cluster\":\"send\",\"to\":\"api.1\",\"data\":" + object + "}", readers);
    measure("1,000 numbers", numbers, readers);
    measure("a text of 10 kB", "{\"text\":\"" + std::string(10'000, 'x') + "\"}", readers);
}
