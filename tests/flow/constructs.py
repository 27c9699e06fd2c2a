def branches(a, b):
    if a and not b:
        f()
    elif a or g():
        return
    else:
        raise ValueError
    h()


def loops(rows):
    for row in rows:
        if row:
            continue
        f(row)
        break
    else:
        g()
    while True:
        if h():
            break


def handled():
    try:
        f()
    except KeyError:
        g()
    except Exception:
        raise
    else:
        h()


def cleaned_up(x):
    try:
        if x:
            return f()
        g()
    finally:
        h()


def entered():
    with f() as a, g():
        return h(a)


def suspended():
    try:
        yield f()
    except BaseException:
        g()
        raise


async def awaited(rows):
    async with f() as a:
        async for row in rows:
            await g(a, row)


def values(a, b):
    x = a or f()
    y = g() if b else h()
    return [k(z) for z in x if z], (m(z) for z in y)


def matched(a):
    match a:
        case 1 if f():
            g()
        case [b]:
            h(b)
        case _:
            k()


def checked(a):
    assert a
    del a
