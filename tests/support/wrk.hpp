// Requests without a pause while something else happens, and what became of them.
#pragma once

#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace cluster::test {

struct RequestCount {
    long answered = 0;
    long failed = 0;

    RequestCount& operator+=(const RequestCount& other) {
        answered += other.answered;
        failed += other.failed;
        return *this;
    }
};

/// What wrk says at its end.
inline RequestCount count_of(const std::string& report) {
    RequestCount count;
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        if (line.find(" requests in ") != std::string::npos) words >> count.answered;
        if (line.find("Non-2xx") != std::string::npos) {
            long bad = 0;
            words.str(line.substr(line.find(": ") + 2));
            words >> bad;
            count.failed += bad;
        }
        if (line.find("Socket errors:") == std::string::npos) continue;
        for (std::string word; words >> word;) {
            if (word.find_first_not_of("0123456789,") == std::string::npos) {
                count.failed += std::stol(word);
            }
        }
    }
    return count;
}

struct Load {
    std::string url;
    bool is_kept = true;
    int connections = 4;
    int seconds = 10;
};

/// Requests by wrk while `act` does what it does; `was_in_time`: all of it happened meanwhile.
struct LoadOutcome {
    RequestCount count;
    bool was_in_time = true;
};
inline LoadOutcome load_while(const Load& load, const std::function<void()>& act) {
    std::vector<std::string> argv{"wrk", "-d", std::to_string(load.seconds) + "s", "-t", "1",
                                  "-c", std::to_string(load.connections), "--timeout", "20s"};
    if (!load.is_kept) {
        argv.push_back("-H");
        argv.push_back("Connection: close");
    }
    argv.push_back(load.url);
    Process wrk({.argv = argv, .env = {}, .cwd = ""});
    act();
    LoadOutcome result;
    result.was_in_time = wrk.is_running();
    const Outcome outcome = wrk.wait();
    // It asks once before it counts, and gives up where nobody answers that.
    result.count = outcome.code == 0 ? count_of(outcome.out) : RequestCount{0, 1};
    return result;
}

}  // namespace cluster::test
