#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static struct {
    const char* name;
    void (*run)(void);
} cases[100];
static size_t count;

void add_case(const char* name, void (*run)(void)) {
    cases[count].name = name;
    cases[count++].run = run;
}

cluster_store* store(void) {
    static cluster_store* opened;
    if (opened == NULL) CHECK_EQ(cluster_store_open(0, &opened), 0);
    return opened;
}

cluster_counter* counter(const char* name) {
    cluster_counter* opened = NULL;
    CHECK_EQ(cluster_counter_open(store(), name, CLUSTER_ATOMIC, &opened), 0);
    return opened;
}

cluster_counter* striped(const char* name) {
    cluster_counter* opened = NULL;
    CHECK_EQ(cluster_counter_open(store(), name, CLUSTER_STRIPED, &opened), 0);
    return opened;
}

int set(const char* key, const char* value) {
    return cluster_table_set(store(), key, strlen(key), value, strlen(value), 0, NULL);
}

const char* get(const char* key) {
    static _Thread_local char text[4096];
    cluster_value value;
    const int code = cluster_table_get(store(), key, strlen(key), text, sizeof text - 1, &value);
    if (code != 0) {
        snprintf(text, sizeof text, "error %d", code);
    } else {
        text[value.size] = '\0';
    }
    return text;
}

address inherited(void) {
    address what;
    CHECK_EQ(
        sscanf(getenv("CLUSTER_STORE"), "v1:%d:%llu:%llu", &what.fd, &what.inode, &what.generation),
        3);
    return what;
}

void say_address(address what) {
    char text[100];
    snprintf(text, sizeof text, "v1:%d:%llu:%llu", what.fd, what.inode, what.generation);
    setenv("CLUSTER_STORE", text, 1);
}

int in_child(void (*run)(void)) {
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        run();
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int argc, char** argv) {
    for (size_t i = 0; i < count; ++i) {
        if (argc != 2 || strcmp(argv[1], cases[i].name) != 0) continue;
        cases[i].run();
        return 0;
    }
    fprintf(stderr, "usage: %s CASE, one of:\n", argv[0]);
    for (size_t i = 0; i < count; ++i) fprintf(stderr, "  %s\n", cases[i].name);
    return 2;
}
