// clusterctl start: a config file, workers that the daemon knows, or one command that no file
// describes.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "clusterctl/ad_hoc.hpp"
#include "clusterctl/config_file.hpp"
#include "clusterctl/failure.hpp"
#include "clusterctl/launch.hpp"
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/format.hpp"
#include "clusterctl/view/words.hpp"
#include "sys/file.hpp"

namespace cluster::clusterctl {
namespace {

constexpr const char* kUsualFile = "cluster.toml";

PathKind look_at_path(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return PathKind::nothing;
    if (!S_ISREG(info.st_mode)) return PathKind::other;
    return ::access(path.c_str(), X_OK) == 0 ? PathKind::program : PathKind::file;
}

class StartVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "start",
                .aliases = {},
                .usage = "[options] [FILE.toml | SELECTOR… | -- COMMAND ARG…]",
                .summary = "Start workers; starts the daemon if none runs"};
    }
    void declare(OptionSink& options) override {
        options.words(
            "FILE or SELECTOR", words_,
            "A config file, or workers to start again; without anything: what ran before");
        options.command(command_);
        ad_hoc_.declare(options);
        wait_.declare(options);
    }

    [[nodiscard]] int run(Session& session) override {
        (void)wait_.limit();
        if (command_) return start_command(session);
        if (const char* option = ad_hoc_.first_given()) {
            throw usage_failure(std::string(option) + " is for a command behind \"--\"",
                                "for example: clusterctl start --name web -- ./server --port 8000");
        }
        if (words_.empty()) return start_remembered(session);
        return start_words(session);
    }

private:
    int start_command(Session& session) {
        if (!words_.empty()) {
            throw usage_failure(
                "\"" + words_.front() + "\" and a command behind \"--\" do not go together",
                "name the worker with --name");
        }
        const core::WorkerSpec spec = ad_hoc_.make_spec(*command_);
        return start_with(session, ctl::request::Add{spec}, Shown{.names = {spec.name}});
    }

    /// What was running comes back; where nothing is remembered, ./cluster.toml is taken.
    int start_remembered(Session& session) {
        Client client(session.directories());
        if (!client.try_connect()) {
            return has_remembered(session) ? launch_remembered(session, client)
                                           : start_usual_file(session);
        }
        const ctl::StatusAnswer status = client.status({}, {"id", "state", "wanted"});
        if (status.workers.empty()) return start_usual_file(session);
        std::vector<std::string> down;
        for (const ctl::WorkerStatus& worker : status.workers) {
            const bool has_failed = worker.state == "fatal" || worker.state == "backoff";
            if (worker.is_wanted && has_failed) down.push_back(worker.id);
        }
        ctl::OperationAnswer operation;
        operation.state = "done";
        if (!down.empty()) operation = client.change(ctl::request::Start{std::move(down)});
        if (operation.operation == 0) {
            operation.notes.emplace_back("everything that is wanted up is up; name what to start");
        }
        note_unread_file(operation);
        return finish_operation(session, client, std::move(operation), wait_, Shown{.all = true});
    }

    int launch_remembered(Session& session, Client& client) {
        (void)connect_or_launch(session, client);
        ctl::OperationAnswer operation = client.wait(kRestoreOperation, 0);
        operation.notes.push_back(restored_note(operation));
        note_unread_file(operation);
        return finish_operation(session, client, std::move(operation), wait_, Shown{.all = true});
    }

    static std::string restored_note(const ctl::OperationAnswer& operation) {
        return "brought back from before: " + count_of(operation.selected.size(), "instance");
    }

    static void note_unread_file(ctl::OperationAnswer& operation) {
        if (look_at_path(kUsualFile) == PathKind::nothing) return;
        operation.notes.push_back(std::string("./") + kUsualFile +
                                  " was not read; to load it: clusterctl start " + kUsualFile);
    }

    /// As the daemon would find it.
    static bool has_remembered(const Session& session) {
        constexpr std::size_t kMostBytes = std::size_t{64} << 20U;
        const Result<std::string> text =
            sys::read_file(session.directories().state + "/state.json", kMostBytes);
        return text && text->find("\"spec\"") != std::string::npos;
    }

    int start_usual_file(Session& session) {
        if (look_at_path(kUsualFile) == PathKind::nothing) {
            throw usage_failure(
                "nothing to start: nothing is remembered, and there is no ./cluster.toml here",
                "name a config file: clusterctl start FILE.toml\n"
                "or a command:       clusterctl start -- node server.js");
        }
        return start_file(session, kUsualFile);
    }

    int start_words(Session& session) {
        for (const std::string& word : words_) {
            const StartWord meaning = meaning_of(word, look_at_path(word));
            if (meaning == StartWord::program) {
                throw usage_failure(word + " is a program, not a config",
                                    "start it with: clusterctl start -- " + word);
            }
            if (meaning == StartWord::config) {
                if (words_.size() > 1) {
                    throw usage_failure("a config file stands alone; " + word + " does not",
                                        "start one after the other");
                }
                return start_file(session, word);
            }
        }
        // Without a daemon there is nothing that a selector could name.
        return change_selected(session, words_, ctl::request::Start{words_}, wait_, Shown{},
                               "clusterctl start api");
    }

    int start_file(Session& session, const std::string& name) {
        ConfigFile file = read_good_config(
            name, [&] { return known_workers(session); }, "nothing was started");
        Shown shown;
        for (const core::WorkerSpec& worker : file.config->workers) {
            shown.names.push_back(worker.name);
        }
        return start_with(session,
                          ctl::request::Load{std::move(file.path), std::move(file.text),
                                             std::move(file.base_path)},
                          shown);
    }

    int start_with(Session& session, ctl::Method method, const Shown& shown) {
        Client client(session.directories());
        const bool is_launched = connect_or_launch(session, client);
        if (is_launched && has_remembered(session)) {
            if (auto* load = std::get_if<ctl::request::Load>(&method)) load->after_restore = true;
            const ctl::OperationAnswer restored = client.wait(kRestoreOperation, 0);
            if (!session.options().is_json && !restored.selected.empty()) {
                print_error(restored_note(restored) + "\n");
            }
        }
        ctl::OperationAnswer operation = client.change(std::move(method));
        return finish_operation(session, client, std::move(operation), wait_, shown);
    }

    std::vector<std::string> words_;
    std::optional<std::vector<std::string>> command_;
    AdHocOptions ad_hoc_;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_start() {
    return std::make_unique<StartVerb>();
}

}  // namespace cluster::clusterctl
