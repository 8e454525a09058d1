// Ownership of a file descriptor. Bare ints that own a descriptor exist in lib/sys only.
#pragma once

#include <utility>

namespace cluster::sys {

/// Closes what it owns. Move-only. The number -1 means that nothing is owned.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    ~UniqueFd() { reset(); }
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    /// Gives the descriptor up without closing it.
    [[nodiscard]] int take() { return std::exchange(fd_, -1); }
    void reset();

private:
    int fd_ = -1;
};

}  // namespace cluster::sys
