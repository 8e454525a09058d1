// What every verb has: where the daemon is, where output goes, and the options that all verbs
// share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "clusterctl/terminal.hpp"
#include "clusterctl/view/status_view.hpp"
#include "place/directories.hpp"

namespace cluster::clusterctl {

struct CommonOptions {
    bool is_json = false;
    std::string runtime_dir;  // --runtime-dir; empty: not given
};

class Session {
public:
    explicit Session(const CommonOptions& options);

    [[nodiscard]] const CommonOptions& options() const { return options_; }
    [[nodiscard]] const place::Environment& environment() const { return environment_; }
    [[nodiscard]] const place::Directories& directories() const { return directories_; }
    [[nodiscard]] const Terminal& out() const { return out_; }
    [[nodiscard]] const Terminal& err() const { return err_; }
    /// For tables on stdout.
    [[nodiscard]] ViewOptions view() const;

private:
    CommonOptions options_;
    place::Environment environment_;
    place::Directories directories_;
    Terminal out_;
    Terminal err_;
};

/// To stdout and stderr. What cannot be written is noticed at the end (finish_output).
void print(std::string_view text);
void print_error(std::string_view text);

/// Flushes stdout. False when something could not be written (a full disk; not a closed pipe: that
/// ends us before).
[[nodiscard]] bool finish_output();

/// "read /etc/x.toml: No such file or directory".
[[nodiscard]] std::string describe(const Error& error, std::string_view what);

/// Waits until `descriptor` is readable (or, with `for_writing`, writable), `interrupt` is, or the
/// deadline has passed.
enum class Woken : std::uint8_t { ready, interrupted, timed_out };
[[nodiscard]] Woken wait_for(int descriptor, bool for_writing, int interrupt,
                             std::optional<Instant> deadline);

}  // namespace cluster::clusterctl
