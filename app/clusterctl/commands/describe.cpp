// clusterctl describe: everything known about instances; env and pid, which pick one thing out of
// it.
#include <fmt/format.h>

#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/describe_view.hpp"
#include "clusterctl/view/text.hpp"
#include "ctl/documents.hpp"

namespace cluster::clusterctl {
namespace {

void require_selectors(const std::vector<std::string>& selectors, const char* verb) {
    if (!selectors.empty()) return;
    throw usage_failure("say which workers: a name, api.0, @group, a glob, or all",
                        std::string("for example: clusterctl ") + verb + " api.0");
}

class DescribeVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "describe",
                .aliases = {"show"},
                .usage = "SELECTOR…",
                .summary = "Show everything known about an instance"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "What to describe: api.0, api, @site, api*");
    }
    [[nodiscard]] int run(Session& session) override {
        require_selectors(selectors_, "describe");
        Client client(session.directories());
        client.connect();
        const ctl::DescribeAnswer answer = client.describe_workers(selectors_);
        if (session.options().is_json) {
            print(ctl::description_document(answer));
            return kDone;
        }
        for (std::size_t i = 0; i < answer.instances.size(); ++i) {
            if (i > 0) print("\n");
            print(render_description(answer.instances[i], session.view()));
        }
        return kDone;
    }

private:
    std::vector<std::string> selectors_;
};

class EnvVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "env",
                .aliases = {},
                .usage = "[--running] SELECTOR",
                .summary = "Show the environment of an instance"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "One instance: api.0; of several, the first");
        options.flag("--running", is_running_, "Of the running process, not of the next run");
    }
    [[nodiscard]] int run(Session& session) override {
        require_selectors(selectors_, "env");
        Client client(session.directories());
        client.connect();
        const ctl::DescribeAnswer answer = client.describe_workers(selectors_);
        if (session.options().is_json) {
            print(ctl::environment_document(answer));
            return kDone;
        }
        if (answer.instances.empty()) return kDone;
        const ctl::Description& first = answer.instances.front();
        if (is_running_ && !first.is_environment_read) {
            throw Failure(kFailed, "refused",
                          first.status.id + (first.status.pid ? ": its environment cannot be read"
                                                              : " is not running"));
        }
        if (!is_running_ && first.environment_problem) {
            throw Failure(kFailed, "refused", first.status.id + ": " + *first.environment_problem);
        }
        for (const ctl::Variable& variable : first.environment) {
            const std::optional<std::string>& value =
                is_running_ ? variable.running : variable.next;
            if (!value) continue;
            const std::string line = variable.name + "=" + *value;
            print((session.out().is_terminal ? one_line(line) : line) + "\n");
        }
        return kDone;
    }

private:
    std::vector<std::string> selectors_;
    bool is_running_ = false;
};

class PidVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "pid",
                .aliases = {},
                .usage = "SELECTOR…",
                .summary = "Print the process ids of running instances"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "Whose: api, api.0, @site, api*, all");
    }
    [[nodiscard]] int run(Session& session) override {
        require_selectors(selectors_, "pid");
        Client client(session.directories());
        client.connect();
        const ctl::StatusAnswer status = client.status(selectors_, {"id", "pid"});
        bool has_any = false;
        for (const ctl::WorkerStatus& worker : status.workers) {
            if (!worker.pid) continue;
            has_any = true;
            if (!session.options().is_json) print(fmt::format("{}\n", *worker.pid));
        }
        if (session.options().is_json) print(ctl::pid_document(status));
        return has_any ? kDone : kFailed;
    }

private:
    std::vector<std::string> selectors_;
};

}  // namespace

std::unique_ptr<Verb> make_describe() {
    return std::make_unique<DescribeVerb>();
}
std::unique_ptr<Verb> make_env() {
    return std::make_unique<EnvVerb>();
}
std::unique_ptr<Verb> make_pid() {
    return std::make_unique<PidVerb>();
}

}  // namespace cluster::clusterctl
