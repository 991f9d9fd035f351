"""Turn a GLB file into FBX. Runs in Blender's own Python, which knows nothing of this package: `fbx.py` starts it.

Arguments: the GLB file, the FBX file, frames per second, the upward axis.
"""

import sys
from fractions import Fraction

import bpy

glb, fbx, fps, up = sys.argv[-4:]
bpy.ops.wm.read_factory_settings(use_empty=True)
rate = Fraction(fps).limit_denominator(1001)
scene = bpy.context.scene
# A frame rate in Blender is a whole number over a base.
whole = min(max(round(rate), 1), 32767)
scene.render.fps, scene.render.fps_base = whole, whole / float(rate)
bpy.ops.import_scene.gltf(filepath=glb, import_pack_images=False)
# The importer draws bones with a shape of its own, which is no part of the motion.
for shape in [one for one in bpy.data.objects if one.name.startswith("Icosphere") and one.parent is None]:
    bpy.data.objects.remove(shape)
action = next(iter(bpy.data.actions))
scene.frame_start, scene.frame_end = (round(frame) for frame in action.frame_range)
bpy.ops.export_scene.fbx(
    filepath=fbx,
    object_types={"ARMATURE", "MESH"},
    add_leaf_bones=False,
    bake_anim=True,
    bake_anim_use_nla_strips=False,
    bake_anim_use_all_actions=False,
    bake_anim_force_startend_keying=True,
    bake_anim_simplify_factor=0.0,
    axis_up=up.upper(),
    axis_forward="-Z" if up == "y" else "-Y",
)
