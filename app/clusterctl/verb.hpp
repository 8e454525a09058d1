// One verb of clusterctl: what it is called, which options it has, what it does. One file per verb
// in commands/.
//
// A verb declares its options to an OptionSink and never sees the library behind it, so that only
// command_line.cpp pays for that library's headers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clusterctl/session.hpp"

namespace cluster::clusterctl {

/// Targets keep their value where the option is not given.
class OptionSink {
public:
    virtual ~OptionSink() = default;
    /// `names` as in "-f,--follow".
    virtual void flag(const char* names, bool& target, const char* help) = 0;
    virtual void value(const char* names, std::string& target, const char* placeholder,
                       const char* help) = 0;
    /// May be given several times.
    virtual void values(const char* names, std::vector<std::string>& target,
                        const char* placeholder, const char* help) = 0;
    /// The words that are no options.
    virtual void words(const char* placeholder, std::vector<std::string>& target,
                       const char* help) = 0;
    /// Everything behind "--", word by word; absent when there is no "--". A verb without this
    /// takes those as words.
    virtual void command(std::optional<std::vector<std::string>>& target) = 0;
};

struct VerbInfo {
    const char* name;
    std::vector<const char*> aliases;
    const char* usage;    // "[-f] [SELECTOR…]"
    const char* summary;  // one line
    bool is_hidden = false;
};

class Verb {
public:
    virtual ~Verb() = default;
    [[nodiscard]] virtual VerbInfo info() const = 0;
    virtual void declare(OptionSink& options) = 0;
    /// The exit code. Throws Failure.
    [[nodiscard]] virtual int run(Session& session) = 0;
};

/// All verbs, in the order in which help shows them.
[[nodiscard]] std::vector<std::unique_ptr<Verb>> make_verbs();

std::unique_ptr<Verb> make_start();
std::unique_ptr<Verb> make_stop();
std::unique_ptr<Verb> make_restart();
std::unique_ptr<Verb> make_reload();
std::unique_ptr<Verb> make_delete();
std::unique_ptr<Verb> make_scale();
std::unique_ptr<Verb> make_apply();
std::unique_ptr<Verb> make_signal();
std::unique_ptr<Verb> make_send();
std::unique_ptr<Verb> make_publish();
std::unique_ptr<Verb> make_messages();
std::unique_ptr<Verb> make_reset();
std::unique_ptr<Verb> make_describe();
std::unique_ptr<Verb> make_env();
std::unique_ptr<Verb> make_pid();
std::unique_ptr<Verb> make_events();
std::unique_ptr<Verb> make_top();
std::unique_ptr<Verb> make_startup();
std::unique_ptr<Verb> make_store();
std::unique_ptr<Verb> make_status();
std::unique_ptr<Verb> make_logs();
std::unique_ptr<Verb> make_validate();
std::unique_ptr<Verb> make_shutdown();
std::unique_ptr<Verb> make_upgrade();
std::unique_ptr<Verb> make_version();
std::unique_ptr<Verb> make_complete();

}  // namespace cluster::clusterctl
