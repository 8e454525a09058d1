// clusterctl complete: one name a line, for the completions of shells. Says nothing where there is
// no daemon.
#include <set>

#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {
namespace {

class CompleteVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "complete",
                .aliases = {},
                .usage = "workers|selectors|verbs",
                .summary = "Names for a shell's completion",
                .is_hidden = true};
    }
    void declare(OptionSink& options) override {
        options.words("KIND", words_, "workers, selectors or verbs");
    }
    [[nodiscard]] int run(Session& session) override {
        const std::string kind = words_.empty() ? "selectors" : words_.front();
        std::set<std::string> names;
        if (kind == "verbs") {
            for (const std::unique_ptr<Verb>& verb : make_verbs()) {
                if (!verb->info().is_hidden) names.insert(verb->info().name);
            }
        } else {
            add_workers(session, kind == "selectors", names);
        }
        for (const std::string& name : names) print(name + "\n");
        return kDone;
    }

private:
    static void add_workers(const Session& session, bool with_selectors,
                            std::set<std::string>& names) {
        try {
            Client client(session.directories());
            if (!client.try_connect()) return;
            const ctl::StatusAnswer status = client.status({}, {"id", "name", "group"});
            for (const ctl::WorkerStatus& worker : status.workers) {
                names.insert(worker.name);
                if (!with_selectors) continue;
                names.insert(worker.id);
                if (worker.group) names.insert("@" + *worker.group);
                names.insert("all");
            }
        } catch (const Failure&) {
            // A word about it would stand in the middle of what the user is typing.
        }
    }

    std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Verb> make_complete() {
    return std::make_unique<CompleteVerb>();
}

}  // namespace cluster::clusterctl
