// Others who can share a number or a table between processes: Redis and memcached over UNIX
// sockets, and LMDB on /dev/shm, each as fast as it goes without giving up what is compared: no
// persistence, no synchronisation with a disk, one request at a time as a web request makes them.
//
// One that is not installed is left out.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "measure.hpp"

namespace cluster::store::bench {

/// What a table is measured with.
struct Mix {
    const char* name;
    std::uint64_t keys;
    std::size_t value_bytes;
    double reads;
};

/// A program that serves a UNIX socket until this is destroyed.
class Server {
public:
    /// `socket` is what the command makes.
    Server(const std::vector<std::string>& command, std::filesystem::path socket);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] bool is_there() const { return pid_ != 0; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }

private:
    [[nodiscard]] bool await_socket();

    std::filesystem::path socket_;
    pid_t pid_ = 0;
};

class Peers {
public:
    Peers();
    ~Peers();
    Peers(const Peers&) = delete;
    Peers& operator=(const Peers&) = delete;

    /// One more for a shared number.
    [[nodiscard]] std::vector<Subject> counting(int workers);
    /// Fills all of them with what the mix wants, in place of what was there.
    void fill(const Mix& mix);
    [[nodiscard]] std::vector<Subject> table(const Mix& mix, int workers);

private:
    std::filesystem::path place_;
    std::unique_ptr<Server> redis_;
    std::unique_ptr<Server> memcached_;
};

}  // namespace cluster::store::bench
