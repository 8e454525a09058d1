// clusterd._fast: the calls that are made most often, without what ctypes costs.
//
// The package works without this file; with it, adding to a counter takes little more than calling
// an empty function, and reading and writing the table a tenth of what it takes by ctypes. It is built against Python's stable ABI, so that one binary serves Python 3.10
// and every later one, and links to nothing: the functions of libcluster are those that the package
// has loaded by ctypes, told by their addresses, so that there is one libcluster in a process.
#define Py_LIMITED_API 0x030A0000
#include <Python.h>
#include <cluster.h>
#include <structmember.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace {

struct Library {
    decltype(&cluster_counter_add) counter_add = nullptr;
    decltype(&cluster_counter_address) counter_address = nullptr;
    decltype(&cluster_counter_get) counter_get = nullptr;
    decltype(&cluster_table_get) table_get = nullptr;
    decltype(&cluster_table_set) table_set = nullptr;
    PyObject* fail = nullptr;        // (code): raises what it means for a counter
    PyObject* fail_table = nullptr;  // (code): what it means for the table
    PyObject* too_large = nullptr;   // (number): raises that it does not fit
};
Library library;

/// What both kinds of counters do most. The classes that a program sees are made of it in Python.
struct Counter {
    PyObject_HEAD
    cluster_counter* handle;
    std::int64_t* cell;  // of the atomic kind, where it may be written; mapped until the end
    char is_striped;
};

Counter* counter_of(PyObject* self) {
    return reinterpret_cast<Counter*>(self);
}

PyObject* fail(PyObject* raise, long code) {
    PyObject* result = PyObject_CallFunction(raise, "l", code);
    Py_XDECREF(result);
    return nullptr;
}

/// False, with an exception, for what is no integer of 64 bits.
bool read_amount(PyObject* number, std::int64_t& amount) {
    amount = PyLong_AsLongLong(number);
    if (amount != -1 || PyErr_Occurred() == nullptr) return true;
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        PyObject* result = PyObject_CallFunctionObjArgs(library.too_large, number, nullptr);
        Py_XDECREF(result);
    }
    return false;
}

/// add(amount=1)
PyObject* counter_add(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* names) {
    std::int64_t amount = 1;
    const Py_ssize_t named = names == nullptr ? 0 : PyTuple_Size(names);
    if (count + named > 1) {
        PyErr_SetString(PyExc_TypeError, "add() takes at most one argument");
        return nullptr;
    }
    if (named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "amount") != 0) {
        PyErr_SetString(PyExc_TypeError, "the argument of add() is named amount");
        return nullptr;
    }
    if (count + named == 1 && !read_amount(arguments[0], amount)) return nullptr;
    const Counter* counter = counter_of(self);
    if (counter->cell != nullptr) [[likely]] {
        return PyLong_FromLongLong(__atomic_add_fetch(counter->cell, amount, __ATOMIC_SEQ_CST));
    }
    std::int64_t sum = 0;
    const int code =
        library.counter_add(counter->handle, amount, counter->is_striped != 0 ? nullptr : &sum);
    if (code != 0) [[unlikely]] {
        return fail(library.fail, code);
    }
    if (counter->is_striped != 0) Py_RETURN_NONE;
    return PyLong_FromLongLong(sum);
}

PyObject* counter_get(PyObject* self, PyObject* /*unused*/) {
    return PyLong_FromLongLong(library.counter_get(counter_of(self)->handle));
}

/// (handle, is_striped)
int counter_init(PyObject* self, PyObject* arguments, PyObject* /*names*/) {
    unsigned long long handle = 0;
    int is_striped = 0;
    if (PyArg_ParseTuple(arguments, "Kp", &handle, &is_striped) == 0) return -1;
    if (handle == 0) {
        PyErr_SetString(PyExc_ValueError, "no handle");
        return -1;
    }
    Counter* counter = counter_of(self);
    counter->handle = reinterpret_cast<cluster_counter*>(handle);
    counter->is_striped = is_striped != 0 ? 1 : 0;
    // Not in a store that is open for reading only.
    const bool is_writable =
        is_striped == 0 && library.counter_add(counter->handle, 0, nullptr) == 0;
    counter->cell = is_writable ? library.counter_address(counter->handle) : nullptr;
    return 0;
}

/// What a key or a value is made of. False, without an exception, for what is neither str nor bytes.
struct Text {
    const char* data = nullptr;
    Py_ssize_t size = 0;

    bool read(PyObject* object) {
        if (PyBytes_Check(object)) {
            char* bytes = nullptr;
            if (PyBytes_AsStringAndSize(object, &bytes, &size) != 0) return false;
            data = bytes;
            return true;
        }
        if (!PyUnicode_Check(object)) return false;
        data = PyUnicode_AsUTF8AndSize(object, &size);
        return data != nullptr;
    }
};

cluster_store* store_of(PyObject* handle) {
    return reinterpret_cast<cluster_store*>(PyLong_AsUnsignedLongLong(handle));
}

/// Not for these arguments: the way by ctypes knows more, and says what is wrong with them.
PyObject* leave_it() {
    if (PyErr_Occurred() != nullptr) return nullptr;
    Py_RETURN_NOTIMPLEMENTED;
}

/// (store, key): the value; None when there is none.
PyObject* table_get(PyObject* /*module*/, PyObject* const* arguments, Py_ssize_t count) {
    Text key;
    if (count != 2 || !key.read(arguments[1])) return leave_it();
    const cluster_store* store = store_of(arguments[0]);
    if (store == nullptr) return leave_it();
    std::array<char, 2048> buffer;
    cluster_value value;
    const auto key_size = static_cast<size_t>(key.size);
    const int code =
        library.table_get(store, key.data, key_size, buffer.data(), buffer.size(), &value);
    if (code == 0) {
        return PyBytes_FromStringAndSize(buffer.data(), static_cast<Py_ssize_t>(value.size));
    }
    if (code == -ENOENT) Py_RETURN_NONE;
    if (code == -ERANGE) return leave_it();
    return fail(library.fail_table, code);
}

/// (store, key, value, time to live in ms): the token.
PyObject* table_set(PyObject* /*module*/, PyObject* const* arguments, Py_ssize_t count) {
    Text key;
    Text value;
    if (count != 4 || !key.read(arguments[1]) || !value.read(arguments[2])) return leave_it();
    cluster_store* store = store_of(arguments[0]);
    const std::int64_t ttl_ms = PyLong_AsLongLong(arguments[3]);
    if (store == nullptr || PyErr_Occurred() != nullptr) return leave_it();
    std::uint64_t token = 0;
    const int code = library.table_set(store, key.data, static_cast<size_t>(key.size), value.data,
                                       static_cast<size_t>(value.size), ttl_ms, &token);
    if (code != 0) return fail(library.fail_table, code);
    return PyLong_FromUnsignedLongLong(token);
}

template <class Function>
void point_at(Function& function, unsigned long long address) {
    function = reinterpret_cast<Function>(address);
}

void keep(PyObject*& place, PyObject* object) {
    Py_INCREF(object);
    Py_XDECREF(place);
    place = object;
}

/// (addresses of cluster_counter_add, cluster_counter_address, cluster_counter_get, cluster_table_get,
/// cluster_table_set, then fail, fail_table, too_large)
PyObject* bind(PyObject* /*module*/, PyObject* arguments) {
    std::array<unsigned long long, 5> at{};
    std::array<PyObject*, 3> raise{};
    const int is_parsed =
        PyArg_ParseTuple(arguments, "KKKKKOOO", &at[0], &at[1], &at[2], &at[3], &at[4], &raise[0],
                         &raise[1], &raise[2]);
    if (is_parsed == 0) return nullptr;
    point_at(library.counter_add, at[0]);
    point_at(library.counter_address, at[1]);
    point_at(library.counter_get, at[2]);
    point_at(library.table_get, at[3]);
    point_at(library.table_set, at[4]);
    keep(library.fail, raise[0]);
    keep(library.fail_table, raise[1]);
    keep(library.too_large, raise[2]);
    Py_RETURN_NONE;
}

template <class Function>
PyCFunction as_function(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef counter_methods[] = {
    {"add", as_function(counter_add), METH_FASTCALL | METH_KEYWORDS, "Adds to it."},
    {"get", counter_get, METH_NOARGS, "What it is now."},
    {nullptr, nullptr, 0, nullptr}};

PyMemberDef counter_members[] = {
    {"_handle", T_ULONGLONG, offsetof(Counter, handle), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

void* slot_of(int (*function)(PyObject*, PyObject*, PyObject*)) {
    return reinterpret_cast<void*>(function);
}

PyType_Slot counter_slots[] = {{Py_tp_init, slot_of(counter_init)},
                               {Py_tp_methods, counter_methods},
                               {Py_tp_members, counter_members},
                               {0, nullptr}};
PyType_Spec counter_spec = {"clusterd._fast.Counter", sizeof(Counter), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, counter_slots};

PyMethodDef module_methods[] = {
    {"bind", bind, METH_VARARGS, "Says where libcluster is."},
    {"table_get", as_function(table_get), METH_FASTCALL, "A value, or None."},
    {"table_set", as_function(table_set), METH_FASTCALL, "Writes a key; the token."},
    {nullptr, nullptr, 0, nullptr}};
PyModuleDef module_definition = {PyModuleDef_HEAD_INIT, "clusterd._fast", nullptr, -1,
                                 module_methods,        nullptr,          nullptr, nullptr,
                                 nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__fast() {
    PyObject* module = PyModule_Create(&module_definition);
    if (module == nullptr) return nullptr;
    PyObject* type = PyType_FromSpec(&counter_spec);
    if (type == nullptr || PyModule_AddObject(module, "Counter", type) != 0) {
        Py_XDECREF(type);
        Py_DECREF(module);
        return nullptr;
    }
    return module;
}
