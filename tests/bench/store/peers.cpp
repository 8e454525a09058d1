#include "peers.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/prng.hpp"
#include "lmdb_peer.hpp"

namespace cluster::store::bench {
namespace {

/// One connection, one request at a time.
class Client {
public:
    explicit Client(const std::filesystem::path& socket)
        : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
        if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
    }
    ~Client() { ::close(fd_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void send(std::string_view request) {
        while (!request.empty()) {
            const ssize_t sent = ::write(fd_, request.data(), request.size());
            if (sent <= 0) std::abort();
            request.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    /// So many bytes, whatever they are but an error.
    void receive(std::size_t bytes) {
        std::array<char, 65536> buffer;
        while (bytes != 0) {
            const ssize_t got = ::read(fd_, buffer.data(), std::min(bytes, buffer.size()));
            if (got <= 0 || buffer[0] == '-') std::abort();
            bytes -= static_cast<std::size_t>(got);
        }
    }
    void receive_line() {
        std::array<char, 128> buffer;
        for (char last = 0; last != '\n';) {
            const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
            if (got <= 0 || buffer[0] == '-') std::abort();
            last = buffer[static_cast<std::size_t>(got) - 1];
        }
    }

private:
    int fd_;
};

/// How a server is spoken to. Keys are sixteen characters.
struct Language {
    std::string (*get)(const std::string& key);
    std::string (*set)(const std::string& key, const std::string& value);
    std::string_view increment;
    std::string_view first;  // of the number
    std::size_t set_answer;  // bytes
    std::size_t (*get_answer)(std::size_t value_bytes);
};

std::string number_of(std::size_t value) {
    return std::to_string(value);
}

const Language kRedis{
    .get = [](const std::string& key) { return "*2\r\n$3\r\nGET\r\n$16\r\n" + key + "\r\n"; },
    .set =
        [](const std::string& key, const std::string& value) {
            return "*3\r\n$3\r\nSET\r\n$16\r\n" + key + "\r\n$" + number_of(value.size()) + "\r\n" +
                   value + "\r\n";
        },
    .increment = "*2\r\n$4\r\nINCR\r\n$6\r\nnumber\r\n",
    .first = "*3\r\n$3\r\nSET\r\n$6\r\nnumber\r\n$1\r\n0\r\n",
    .set_answer = std::strlen("+OK\r\n"),
    .get_answer = [](std::size_t bytes) { return number_of(bytes).size() + bytes + 5; }};

const Language kMemcached{
    .get = [](const std::string& key) { return "get " + key + "\r\n"; },
    .set =
        [](const std::string& key, const std::string& value) {
            return "set " + key + " 0 0 " + number_of(value.size()) + "\r\n" + value + "\r\n";
        },
    .increment = "incr number 1\r\n",
    .first = "set number 0 0 1\r\n0\r\n",
    .set_answer = std::strlen("STORED\r\n"),
    .get_answer =
        [](std::size_t bytes) {
            return std::strlen("VALUE 0123456789abcdef 0 \r\n\r\nEND\r\n") + bytes +
                   number_of(bytes).size();
        }};

std::string key_of(std::uint64_t number) {
    std::array<char, 17> text;
    std::snprintf(text.data(), text.size(), "%016llx",
                  static_cast<unsigned long long>(number * 0x9E3779B97F4A7C15U));
    return {text.data(), 16};
}

void fill_server(const Server& server, const Language& language, const Mix& mix) {
    constexpr std::uint64_t kAtOnce = 100;
    Client client{server.socket()};
    const std::string value(mix.value_bytes, 'v');
    for (std::uint64_t i = 0; i < mix.keys; i += kAtOnce) {
        std::string requests;
        const std::uint64_t end = std::min(i + kAtOnce, mix.keys);
        for (std::uint64_t k = i; k < end; ++k) requests += language.set(key_of(k), value);
        client.send(requests);
        client.receive((end - i) * language.set_answer);
    }
}

enum class Where : std::uint8_t { anywhere, on_one_processor };

/// Where the client and its server run. On one processor nobody has to be woken on another.
void put(const Server& server, Where where) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (where == Where::on_one_processor) {
        CPU_SET(0, &set);
        ::sched_setaffinity(0, sizeof set, &set);
    } else {
        for (std::size_t i = 0; i < CPU_SETSIZE; ++i) CPU_SET(i, &set);
    }
    ::sched_setaffinity(server.pid(), sizeof set, &set);
}

Work server_work(const Server& server, const Language& language, const Mix& mix, int worker,
                 Where where) {
    put(server, where);
    auto client = std::make_shared<Client>(server.socket());
    return [client, &language, mix,
            prng = Prng{static_cast<std::uint64_t>(worker) + 7}](std::uint64_t operations) mutable {
        const std::string value(mix.value_bytes, 'w');
        const auto writes = static_cast<std::uint64_t>((1 - mix.reads) * 1000);
        for (std::uint64_t i = 0; i < operations; ++i) {
            const std::uint64_t random = prng.next();
            const std::string key = key_of((random >> 20U) % mix.keys);
            const bool is_write = random % 1000 < writes;
            client->send(is_write ? language.set(key, value) : language.get(key));
            client->receive(is_write ? language.set_answer : language.get_answer(mix.value_bytes));
        }
    };
}

Subject server_counting(std::string name, const Server& server, const Language& language,
                        int workers) {
    const auto prepare = [&server, &language](int) -> Work {
        auto client = std::make_shared<Client>(server.socket());
        return [client, &language](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) {
                client->send(language.increment);
                client->receive_line();
            }
        };
    };
    return {std::move(name), prepare, workers, false, 1000, true};
}

}  // namespace

Server::Server(const std::vector<std::string>& command, std::filesystem::path socket)
    : socket_(std::move(socket)) {
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        ::dup2(null, 1);
        go_before_others();
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    if (!await_socket()) pid_ = 0;
}

Server::~Server() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Server::await_socket() {
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, socket_.c_str(), sizeof address.sun_path - 1);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int code = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
        ::close(fd);
        if (code == 0) return true;
        ::sched_yield();
    }
    return false;
}

Peers::Peers() {
    std::string place = "/dev/shm/clusterd-bench-XXXXXX";
    if (::mkdtemp(place.data()) == nullptr) std::abort();
    place_ = place;
    const std::filesystem::path redis = place_ / "redis.sock";
    redis_ = std::make_unique<Server>(
        std::vector<std::string>{"redis-server", "--port", "0", "--unixsocket", redis, "--save", "",
                                 "--appendonly", "no", "--dir", place_},
        redis);
    const std::filesystem::path memcached = place_ / "memcached.sock";
    memcached_ = std::make_unique<Server>(
        std::vector<std::string>{"memcached", "-s", memcached, "-m", "1024", "-t", "1", "-u",
                                 ::geteuid() == 0 ? "root" : std::to_string(::geteuid())},
        memcached);
}

Peers::~Peers() {
    redis_.reset();
    memcached_.reset();
    std::filesystem::remove_all(place_);
}

std::vector<Subject> Peers::counting(int workers) {
    std::vector<Subject> subjects;
    const auto add = [&](const char* name, const Server& server, const Language& language) {
        if (!server.is_there()) return;
        Client client{server.socket()};
        client.send(language.first);
        client.receive(language.set_answer);
        subjects.push_back(server_counting(name, server, language, workers));
    };
    add("redis, UNIX socket", *redis_, kRedis);
    add("memcached, UNIX socket", *memcached_, kMemcached);
    if (auto lmdb = lmdb_counting(place_)) {
        subjects.push_back({"LMDB on /dev/shm", std::move(lmdb), workers, false, 100});
    }
    return subjects;
}

void Peers::fill(const Mix& mix) {
    if (redis_->is_there()) {
        Client client{redis_->socket()};
        client.send("*1\r\n$8\r\nFLUSHALL\r\n");
        client.receive(kRedis.set_answer);
        fill_server(*redis_, kRedis, mix);
    }
    if (memcached_->is_there()) fill_server(*memcached_, kMemcached, mix);
    lmdb_fill(place_, mix);
}

std::vector<Subject> Peers::table(const Mix& mix, int workers) {
    std::vector<Subject> subjects;
    const auto add = [&](const char* name, const Server& server, const Language& language,
                         Where where) {
        if (!server.is_there()) return;
        const auto prepare = [&server, &language, mix, where](int worker) {
            return server_work(server, language, mix, worker, where);
        };
        subjects.push_back({name, prepare, workers, false, 100, true});
    };
    add("redis, UNIX socket", *redis_, kRedis, Where::anywhere);
    if (workers == 1) {
        add("redis, UNIX socket, one processor", *redis_, kRedis, Where::on_one_processor);
    }
    add("memcached, UNIX socket", *memcached_, kMemcached, Where::anywhere);
    if (auto lmdb = lmdb_table(place_, mix)) {
        subjects.push_back({"LMDB on /dev/shm", std::move(lmdb), workers, false, 4});
    }
    return subjects;
}

}  // namespace cluster::store::bench
