// How a verb ends when it cannot do what it was asked: thrown anywhere below main, shown in one
// place.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace cluster::clusterctl {

/// The exit codes of every verb; a promise (clusterctl(1)).
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;         // the daemon refused, or a worker failed
inline constexpr int kUsage = 2;          // bad usage or bad config
inline constexpr int kNoDaemon = 3;       // no daemon
inline constexpr int kInterrupted = 130;  // 128 + SIGINT: the waiting was ended, not the operation

class Failure : public std::exception {
public:
    Failure(int exit_code_, std::string code_, std::string message_, std::string hint_ = {})
        : exit_code(exit_code_),
          code(std::move(code_)),
          message(std::move(message_)),
          hint(std::move(hint_)) {}

    [[nodiscard]] const char* what() const noexcept override { return message.c_str(); }

    int exit_code;
    std::string code;     // of the --json document
    std::string message;  // what and where
    std::string hint;     // what to do next; may be empty
    std::vector<std::string> diagnostics;
};

[[nodiscard]] inline Failure usage_failure(std::string message, std::string hint = {}) {
    return {kUsage, "usage", std::move(message), std::move(hint)};
}

}  // namespace cluster::clusterctl
