// Who has an address: the tables below /proc/net name the socket's inode, and the descriptors of
// some process name the inode.
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <fcntl.h>
#include <string_view>
#include <vector>

#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/listener.hpp"

namespace cluster::sys {
namespace {

using Family = ListenAddress::Family;
using Type = ListenAddress::Type;

/// Listening TCP sockets stand before all others in the table; these are the states as it shows
/// them. Source: tcp_seq_start, udp4_format_sock.
constexpr std::string_view kListening = "0A";
constexpr std::string_view kUnconnected = "07";

/// Reads a table of /proc/net line by line until `look` has enough or the time is up.
template <class Look>
void read_lines(const char* path, Instant until, const Look& look) {
    const auto file = open_file(path, O_RDONLY);
    if (!file) return;
    std::string rest;
    std::array<std::byte, 8192> buffer{};
    while (monotonic_now() < until) {
        const auto count = read_some(file->get(), buffer);
        if (!count || *count == 0) return;
        rest.append(reinterpret_cast<const char*>(buffer.data()), *count);
        std::size_t begin = 0;
        for (std::size_t end = 0; (end = rest.find('\n', begin)) != std::string::npos;
             begin = end + 1) {
            if (!look(std::string_view(rest).substr(begin, end - begin))) return;
        }
        rest.erase(0, begin);
    }
}

/// The words of a line.
std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (true) {
        const std::size_t begin = line.find_first_not_of(' ');
        if (begin == std::string_view::npos) return words;
        line.remove_prefix(begin);
        const std::size_t end = std::min(line.find(' '), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

using Inodes = std::vector<std::string>;

void add_internet_inodes(const char* path, const ListenAddress& address, Instant until,
                         Inodes& inodes) {
    const bool is_stream = address.type == Type::stream;
    const std::string_view state = is_stream ? kListening : kUnconnected;
    bool is_first = true;
    read_lines(path, until, [&](std::string_view line) {
        if (std::exchange(is_first, false)) return true;
        const auto words = words_of(line);
        if (words.size() < 10) return true;
        if (words[3] != state) return !is_stream;
        const std::size_t colon = words[1].rfind(':');
        const std::string_view digits = words[1].substr(colon + 1);
        unsigned port = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), port, 16);
        if (port == address.port) inodes.emplace_back(words[9]);
        return true;
    });
}

void add_unix_inodes(const ListenAddress& address, Instant until, Inodes& inodes) {
    const std::string name =
        address.family == Family::abstract ? "@" + address.path : address.path;
    read_lines("/proc/net/unix", until, [&](std::string_view line) {
        const auto words = words_of(line);
        // Num RefCount Protocol Flags Type St Inode Path
        if (words.size() >= 8 && words[7] == name) inodes.emplace_back(words[6]);
        return true;
    });
}

Inodes inodes_of(const ListenAddress& address, Instant until) {
    Inodes inodes;
    if (address.family != Family::internet) {
        add_unix_inodes(address, until, inodes);
    } else if (address.type == Type::stream) {
        add_internet_inodes("/proc/net/tcp", address, until, inodes);
        add_internet_inodes("/proc/net/tcp6", address, until, inodes);
    } else {
        add_internet_inodes("/proc/net/udp", address, until, inodes);
        add_internet_inodes("/proc/net/udp6", address, until, inodes);
    }
    return inodes;
}

bool has_one_of(const std::string& process, const Inodes& links, Instant until) {
    const std::string directory = "/proc/" + process + "/fd";
    const auto names = list_directory(directory);
    if (!names) return false;
    for (const std::string& name : *names) {
        if (monotonic_now() >= until) return false;
        const auto link = read_link(directory + "/" + name);
        if (!link) continue;
        for (const std::string& wanted : links) {
            if (*link == wanted) return true;
        }
    }
    return false;
}

std::string program_of(const std::string& process) {
    auto name = read_file("/proc/" + process + "/comm", 64);
    if (!name) return "";
    while (!name->empty() && name->back() == '\n') name->pop_back();
    return *name;
}

}  // namespace

std::optional<Holder> find_holder(const ListenAddress& address, Duration patience) {
    const Instant until = monotonic_now() + patience;
    Inodes links = inodes_of(address, until);
    if (links.empty()) return std::nullopt;
    for (std::string& inode : links) inode = "socket:[" + inode + "]";
    const auto processes = list_directory("/proc");
    if (!processes) return Holder{};
    for (const std::string& process : *processes) {
        if (process.find_first_not_of("0123456789") != std::string::npos) continue;
        if (monotonic_now() >= until) break;
        if (!has_one_of(process, links, until)) continue;
        Holder holder;
        std::from_chars(process.data(), process.data() + process.size(), holder.pid);
        holder.name = program_of(process);
        return holder;
    }
    return Holder{};
}

}  // namespace cluster::sys
