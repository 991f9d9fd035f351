// What the viewer takes of three.js; see README.md.
export {
  BufferAttribute, BufferGeometry, Color, DirectionalLight, HemisphereLight, InstancedBufferGeometry,
  InstancedInterleavedBuffer, InterleavedBufferAttribute, Mesh, MeshBasicMaterial, MeshDepthMaterial,
  MeshStandardMaterial, PerspectiveCamera, PlaneGeometry, Scene, ShaderMaterial, ShadowMaterial, SRGBColorSpace,
  WebGLRenderer,
} from "three";
