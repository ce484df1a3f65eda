"""Components from a registry: find, install, update, remove and publish them.

    references   what people write -> which component
    source       where components come from: a registry over HTTP, or a mirror
    resolve      which version
    trust        whether its signatures hold, and whether it is trusted less than before
    dependencies which packages it needs from the Python index
    install      all of that, then one change of the environment: whole or undone
    lockfile     what was installed, so that it can be installed again

Nothing of a component is imported or run here.
"""
