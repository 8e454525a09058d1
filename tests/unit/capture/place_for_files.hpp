// What the capture tests share: a directory of their own, whole files, child processes that end
// with the test.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace cluster::capture {

/// A fresh directory below `parent`, removed at the end.
class PlaceForFiles {
public:
    explicit PlaceForFiles(const std::string& parent = std::filesystem::temp_directory_path()) {
        std::string name = parent + "/capture_test.XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
        path_ = name;
    }
    ~PlaceForFiles() { std::filesystem::remove_all(path_); }
    PlaceForFiles(const PlaceForFiles&) = delete;
    PlaceForFiles& operator=(const PlaceForFiles&) = delete;

    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

inline std::string contents(const std::string& path) {
    std::string bytes(std::filesystem::file_size(path), '\0');
    std::ifstream(path, std::ios::binary)
        .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return bytes;
}

inline void put(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void append(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::app) << bytes;
}

/// A forked child that runs `body` and ends without destructors; killed and reaped at the end at
/// the latest.
class Child {
public:
    template <class Body>
    explicit Child(Body body) : pid_(::fork()) {
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            body();
            ::_exit(0);
        }
    }
    ~Child() { kill(); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    void kill() {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
        static_cast<void>(wait());
    }
    /// The status as of waitpid(2).
    int wait() {
        int status = -1;
        if (pid_ > 0) ::waitpid(std::exchange(pid_, -1), &status, 0);
        return status;
    }

private:
    pid_t pid_;
};

}  // namespace cluster::capture
