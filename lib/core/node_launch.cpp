#include "core/node_launch.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace cluster::core {
namespace {

std::string_view basename_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

/// Where the program stands in the command: `env` passes its environment on and becomes it.
std::size_t program_place(const std::vector<std::string>& command) {
    if (command.empty() || basename_of(command.front()) != "env") return 0;
    constexpr std::array<std::string_view, 4> kWithValue{"-u", "--unset", "-C", "--chdir"};
    for (std::size_t i = 1; i < command.size(); ++i) {
        const std::string& word = command[i];
        if (is_one_of(word, kWithValue)) {
            ++i;
        } else if (word.rfind('-', 0) != 0 && word.find('=') == std::string::npos) {
            return i;
        }
    }
    return 0;
}

bool is_node(std::string_view program) {
    return program == "node" || program == "nodejs";
}

}  // namespace

std::string program_name(const Launch& launch) {
    if (launch.command.empty()) return {};
    return std::string{basename_of(launch.command[program_place(launch.command)])};
}

std::optional<std::string> node_mistake(const Launch& launch) {
    if (!is_node(program_name(launch))) return std::nullopt;
    constexpr std::array<std::string_view, 6> kNoScript{"-e", "--eval",        "-p",
                                                        "-i", "--interactive", "--print"};
    // Of these the next word is a value and no script.
    constexpr std::array<std::string_view, 10> kWithValue{
        "-r",       "--require", "--import",    "--loader",   "--experimental-loader",
        "--input-type", "--env-file", "-C", "--conditions", "--title"};
    const std::vector<std::string>& command = launch.command;
    for (std::size_t i = program_place(command) + 1; i < command.size(); ++i) {
        const std::string& word = command[i];
        if (is_one_of(word, kNoScript)) {
            return "node " + word + " is no script: Node.js makes a worker of a cluster only of one";
        }
        if (is_one_of(word, kWithValue)) {
            ++i;
        } else if (word.rfind('-', 0) != 0) {
            return std::nullopt;
        }
    }
    return "names no script: Node.js makes a worker of a cluster only of one, as in node server.js";
}

std::optional<std::string> node_wrapper(const Launch& launch) {
    constexpr std::array<std::string_view, 13> kWrappers{
        "npm",     "npx", "yarn",      "yarnpkg", "pnpm",    "pnpx",   "corepack",
        "nodemon", "tsx", "cross-env", "dotenv",  "forever", "dotenvx"};
    const std::string name = program_name(launch);
    if (!is_one_of(std::string_view{name}, kWrappers)) return std::nullopt;
    return name;
}

}  // namespace cluster::core
