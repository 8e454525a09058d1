// clusterctl startup: has systemd start the daemon at boot, for the machine or for one user. What
// cannot be done without root is told as the exact line to run.
#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "clusterctl/client.hpp"
#include "clusterctl/launch.hpp"
#include "clusterctl/startup_unit.hpp"
#include "clusterctl/verb.hpp"
#include "conf/spec_text.hpp"
#include "ctl/documents.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace cluster::clusterctl {
namespace {

constexpr const char* kUnitName = "clusterd.service";
constexpr const char* kSystemDirectory = "/etc/systemd/system";
/// There exactly where systemd is the init system. Source: sd_booted(3).
constexpr const char* kSystemdMark = "/run/systemd/system";

std::string own_path() {
    const Result<std::string> own = sys::own_executable();
    return own ? *own : std::string("clusterctl");
}

std::string user_name() {
    const passwd* entry = ::getpwuid(::geteuid());
    return entry == nullptr ? std::to_string(::geteuid()) : entry->pw_name;
}

/// Runs a program of PATH with our own output, and waits for it. Throws Failure when it fails.
void run(const std::vector<std::string>& words) {
    std::vector<std::string> copies = words;
    std::vector<char*> arguments;
    for (std::string& word : copies) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t pid = 0;
    const int code =
        ::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
    int status = 0;
    if (code == 0) {
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    if (code != 0 || status != 0) {
        throw Failure(kFailed, "failed",
                      conf::join_words(words) + " failed" +
                          (code != 0 ? std::string(": ") + std::strerror(code) : ""),
                      "the unit was written; run the command by hand to see why");
    }
}

class StartupVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "startup",
                .aliases = {},
                .usage = "[--user] [--print]",
                .summary = "Have systemd start the daemon at boot"};
    }
    void declare(OptionSink& options) override {
        options.flag("--user", is_for_user_, "As a service of this user, not of the machine");
        options.flag("--print", is_print_, "Only show the unit file");
    }
    [[nodiscard]] int run(Session& session) override {
        const std::string unit = make_unit(settings(session));
        if (is_print_) {
            print(unit);
            return kDone;
        }
        require_systemd();
        if (!is_for_user_ && ::geteuid() != 0) {
            throw Failure(
                kFailed, "refused", "a service of the whole machine is root's to install",
                "for the machine: sudo " + conf::join_words({own_path(), "startup"}) +
                    "\nfor yourself:    " + conf::join_words({own_path(), "startup", "--user"}));
        }
        const std::string path = install(unit);
        report(session, path);
        return kDone;
    }

private:
    [[nodiscard]] UnitSettings settings(const Session& session) const {
        UnitSettings settings;
        settings.is_for_user = is_for_user_;
        settings.daemon = find_daemon();
        const place::Environment& given = session.environment();
        const bool is_chosen = !session.options().runtime_dir.empty() || given.runtime_dir;
        const place::Directories& directories = session.directories();
        if (is_chosen)
            settings.environment.emplace_back("CLUSTER_RUNTIME_DIR", directories.runtime);
        if (given.state_dir)
            settings.environment.emplace_back("CLUSTER_STATE_DIR", directories.state);
        if (given.log_dir) settings.environment.emplace_back("CLUSTER_LOG_DIR", directories.log);
        // What the workers inherit from the daemon; systemd's own PATH is a short one.
        if (const char* path = std::getenv("PATH")) settings.environment.emplace_back("PATH", path);
        return settings;
    }

    static void require_systemd() {
        if (sys::file_info(kSystemdMark)) return;
        throw Failure(
            kFailed, "refused", "systemd does not run this machine; nothing was installed",
            "elsewhere, have this run at boot: " + conf::join_words({own_path(), "start"}) +
                "\n(cron: @reboot " + conf::join_words({own_path(), "start"}) +
                "); in a container, make clusterd --config FILE its main process");
    }

    [[nodiscard]] std::string directory() const {
        if (!is_for_user_) return kSystemDirectory;
        const char* config = std::getenv("XDG_CONFIG_HOME");
        const char* home = std::getenv("HOME");
        if (config != nullptr && *config == '/') return std::string(config) + "/systemd/user";
        if (home != nullptr && *home == '/') return std::string(home) + "/.config/systemd/user";
        throw Failure(kFailed, "failed", "HOME is not set", "set it, and run this again");
    }

    [[nodiscard]] std::string install(const std::string& unit) const {
        const std::string path = directory() + "/" + kUnitName;
        if (const Status made = sys::make_directories(directory(), 0755); !made) {
            throw Failure(kFailed, "failed", describe(made.error(), directory()));
        }
        if (const Status written = sys::replace_file(path, unit, 0644); !written) {
            throw Failure(kFailed, "failed", describe(written.error(), path));
        }
        std::vector<std::string> systemctl = {"systemctl"};
        if (is_for_user_) systemctl.emplace_back("--user");
        const auto call = [&systemctl](std::vector<std::string> words) {
            words.insert(words.begin(), systemctl.begin(), systemctl.end());
            clusterctl::run(words);
        };
        call({"daemon-reload"});
        call({"--quiet", "enable", kUnitName});
        return path;
    }

    void report(const Session& session, const std::string& path) const {
        if (session.options().is_json) {
            print(ctl::startup_document(path));
            return;
        }
        const std::string systemctl = is_for_user_ ? "systemctl --user" : "systemctl";
        print("installed and enabled " + path + "\n");
        Client client(session.directories());
        const bool is_running = client.try_connect();
        print(is_running
                  ? "the daemon that runs now stays; to hand it to systemd: clusterctl shutdown "
                    "&& " +
                        systemctl + " start clusterd\n"
                  : "to start it now: " + systemctl + " start clusterd\n");
        const bool lingers = sys::file_info("/var/lib/systemd/linger/" + user_name()).has_value();
        if (is_for_user_ && !lingers) {
            print("so that it starts without a login: sudo loginctl enable-linger " + user_name() +
                  "\n");
        }
        print("to undo it: " + systemctl + " disable clusterd && rm " + conf::join_words({path}) +
              "\n");
    }

    bool is_for_user_ = false;
    bool is_print_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_startup() {
    return std::make_unique<StartupVerb>();
}

}  // namespace cluster::clusterctl
